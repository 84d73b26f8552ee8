"""Table 3 (c), C2 with the released code's amount: 5 to 13 strokes, 12 % of the pixels.

The paper does not say how much its strokes hide (fidelity point 30).

Command: tools/dist_train.sh configs/mvlt/ablations/c2_stroke_released.py 8
"""

from mmengine.config import read_base

from mvlt.datasets import StrokeMask

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.type = StrokeMask
train_dataloader.dataset.dataset.pipeline.mask.ratio = None
