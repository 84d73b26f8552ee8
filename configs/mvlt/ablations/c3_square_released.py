"""Table 3 (c), C3 as in the released code: a box at a random position (fidelity point 31).

The released side is the image's over the ratio, which at 0.5 is no box. Here the area is that of
the other rows.

Command: tools/dist_train.sh configs/mvlt/ablations/c3_square_released.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import RandomSquareMask

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.type = RandomSquareMask
