"""Table 3 (e), E1, and Table 4: a random start (paper: R@1 TIR 29.00, ITR 25.60).

Command: tools/dist_train.sh configs/mvlt/ablations/e1_without_pvt.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from ..pretrain_fashiongen import *

model.backbone.init_cfg = None
