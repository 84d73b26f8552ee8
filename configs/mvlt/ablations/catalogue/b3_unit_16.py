"""B3 of Table 3 on a catalogue: masking units of 16 pixels; see b1_unit_2.py.

Command: tools/train.py configs/mvlt/ablations/catalogue/b3_unit_16.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from ...pretrain_catalogue import *

train_dataloader.dataset.dataset.pipeline.mask.alpha = 4
