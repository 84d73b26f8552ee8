"""Table 3 (b), B2: masking units of alpha 2 (R@1: TIR 30.30, ITR 29.70).

Command: tools/dist_train.sh configs/mvlt/ablations/b2_alpha_2.py 8
"""

from mmengine.config import read_base

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.alpha = 2
