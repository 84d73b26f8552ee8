"""Table 3 (c), C1: grid masks (paper: R@1 TIR 32.20, ITR 31.40).

Command: tools/dist_train.sh configs/mvlt/ablations/c1_grid.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import GridMask

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.type = GridMask
