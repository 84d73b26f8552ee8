"""Table 3 (a), A3: 70 % of the image masked (paper: R@1 TIR 30.50, ITR 29.90).

Command: tools/dist_train.sh configs/mvlt/ablations/a3_ratio_70.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.ratio = 0.7
