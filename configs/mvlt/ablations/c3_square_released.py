"""Table 3 (c), C3 as the released code has it: a box at a random place (fidelity point 31).

Its side there is the image's over the ratio, which at 0.5 is no box; here its area is that of the
other rows.

Command: tools/dist_train.sh configs/mvlt/ablations/c3_square_released.py 8
"""

from mmengine.config import read_base

from mvlt.datasets import RandomSquareMask

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.type = RandomSquareMask
