"""Table 3 (c), C2: stroke masks (R@1: TIR 31.40, ITR 31.10).

Free-form strokes of pixels, at the ratio of the other rows. The released code's hide less; see
c2_stroke_released.py.

Command: tools/dist_train.sh configs/mvlt/ablations/c2_stroke.py 8
"""

from mmengine.config import read_base

from mvlt.datasets import StrokeMask

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.type = StrokeMask
