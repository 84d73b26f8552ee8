"""Table 3 (c), C2 with the released code's amount: 5 to 13 strokes, 12 % of the pixels.

The paper does not state how much its strokes mask (fidelity point 30).

Command: tools/dist_train.sh configs/mvlt/ablations/c2_stroke_released.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import StrokeMask

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.type = StrokeMask
train_dataloader.dataset.dataset.pipeline.mask.ratio = None
