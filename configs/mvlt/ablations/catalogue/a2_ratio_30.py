"""A2 of Table 3 on a catalogue: 30 % of a masked image hidden.

Command: tools/train.py configs/mvlt/ablations/catalogue/a2_ratio_30.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from ...pretrain_catalogue import *

train_dataloader.dataset.dataset.pipeline.mask.ratio = 0.3
