"""Table 3 (b), B4: masking units of alpha 16 (paper: R@1 TIR 32.20, ITR 28.90).

Command: tools/dist_train.sh configs/mvlt/ablations/b4_alpha_16.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.alpha = 16
