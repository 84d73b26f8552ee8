"""Table 3 (d), D1: ITM alone (R@1: TIR 30.40, ITR 29.30).

What no objective rebuilds is not hidden; the paper does not say.

Command: tools/dist_train.sh configs/mvlt/ablations/d1_itm.py 8
"""

from mmengine.config import read_base

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.ratio = 0.0
model.neck = None
model.heads.mir = None
train_dataloader.dataset.dataset.pipeline.words.ratio = 0.0
model.heads.mlm = None
test_evaluator = []
