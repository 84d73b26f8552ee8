"""Table 3 (c), C2: stroke masks (R@1: TIR 31.40, ITR 31.10).

Command: tools/dist_train.sh configs/mvlt/ablations/c2_stroke.py 8
"""

from mmengine.config import read_base

from mvlt.datasets import StrokeMask

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline[2].type = StrokeMask
