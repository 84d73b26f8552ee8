"""A1 of Table 3 on a catalogue: 10 % of a masked image hidden.

Command: tools/train.py configs/mvlt/ablations/catalogue/a1_ratio_10.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from ...pretrain_catalogue import *

train_dataloader.dataset.dataset.pipeline.mask.ratio = 0.1
