"""C1 of Table 3 on a catalogue: grid masks.

Command: tools/train.py configs/mvlt/ablations/catalogue/c1_grid.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.datasets import GridMask

with read_base():
    from ...pretrain_catalogue import *

train_dataloader.dataset.dataset.pipeline.mask.type = GridMask
