"""Table 3 (d), D1: ITM alone (paper: R@1 TIR 30.40, ITR 29.30).

Nothing is masked, because no objective reconstructs it. The paper does not state this.

Command: tools/dist_train.sh configs/mvlt/ablations/d1_itm.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
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
