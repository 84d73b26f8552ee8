"""D1 of Table 3 on a catalogue: ITM alone, nothing hidden.

Command: tools/train.py configs/mvlt/ablations/catalogue/d1_itm.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from ...pretrain_catalogue import *

train_dataloader.dataset.dataset.pipeline.mask.ratio = 0.0
model.neck = None
model.heads.mir = None
train_dataloader.dataset.dataset.pipeline.words.ratio = 0.0
model.heads.mlm = None
test_evaluator = []
