"""Table 3 (a), A4: 90 % of the image masked (paper: R@1 TIR 30.70, ITR 28.50).

Command: tools/dist_train.sh configs/mvlt/ablations/a4_ratio_90.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.ratio = 0.9
