"""Table 3 (c), C2: stroke masks (paper: R@1 TIR 31.40, ITR 31.10).

Free-form strokes of pixels at the ratio of the other rows. The released code masks less:
c2_stroke_released.py.

Command: tools/dist_train.sh configs/mvlt/ablations/c2_stroke.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import StrokeMask

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.type = StrokeMask
