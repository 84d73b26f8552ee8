"""Table 3 (b), B3: masking units of alpha 8 (paper: R@1 TIR 30.00, ITR 29.00).

Command: tools/dist_train.sh configs/mvlt/ablations/b3_alpha_8.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.alpha = 8
