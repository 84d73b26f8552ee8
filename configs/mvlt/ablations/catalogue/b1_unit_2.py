"""B1 of Table 3 on a catalogue: masking units of 2 pixels.

The paper's units are a quarter, a half, twice and four times as wide as its own choice of 16
pixels; so are these, beside 8 pixels here.

Command: tools/train.py configs/mvlt/ablations/catalogue/b1_unit_2.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from ...pretrain_catalogue import *

train_dataloader.dataset.dataset.pipeline.mask.patch_size = 2
train_dataloader.dataset.dataset.pipeline.mask.alpha = 1
