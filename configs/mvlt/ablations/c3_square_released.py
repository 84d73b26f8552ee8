"""Table 3 (c), C3 as the released code has it: a box at a random place (fidelity point 31).

Its size there follows no ratio; here it is that of the other rows.

Command: tools/dist_train.sh configs/mvlt/ablations/c3_square_released.py 8
"""

from mmengine.config import read_base

from mvlt.datasets import RandomSquareMask

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline[2].type = RandomSquareMask
