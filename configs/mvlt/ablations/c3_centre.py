"""Table 3 (c), C3: centre masks (paper: R@1 TIR 30.40, ITR 30.10).

Command: tools/dist_train.sh configs/mvlt/ablations/c3_centre.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import CentreMask

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.type = CentreMask
