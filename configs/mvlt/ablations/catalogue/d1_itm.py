"""D1 of Table 3 on a catalogue: ITM alone, nothing hidden.

Command: tools/train.py configs/mvlt/ablations/catalogue/d1_itm.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from ...pretrain_catalogue import *

train_dataloader.dataset.dataset.pipeline[3].ratio = 0.0
model.merge(dict(neck=None, mir_head=None))
train_dataloader.dataset.dataset.pipeline[5].ratio = 0.0
model.merge(dict(mlm_head=None))
test_evaluator = []
