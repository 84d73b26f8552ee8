"""Table 3 (c), C3: centre masks (R@1: TIR 30.40, ITR 30.10).

Command: tools/dist_train.sh configs/mvlt/ablations/c3_centre.py 8
"""

from mmengine.config import read_base

from mvlt.datasets import CentreMask

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.type = CentreMask
