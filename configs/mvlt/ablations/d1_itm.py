"""Table 3 (d), D1: ITM alone (R@1: TIR 30.40, ITR 29.30).

What no objective rebuilds is not hidden; the paper does not say.

Command: tools/dist_train.sh configs/mvlt/ablations/d1_itm.py 8
"""

from mmengine.config import read_base

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline[2].ratio = 0.0
model.merge(dict(neck=None, mir_head=None))
train_dataloader.dataset.dataset.pipeline[4].ratio = 0.0
model.merge(dict(mlm_head=None))
test_evaluator = []
