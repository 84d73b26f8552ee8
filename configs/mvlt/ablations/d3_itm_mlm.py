"""Table 3 (d), D3: ITM and MLM (R@1: TIR 32.90, ITR 28.40).

The image, which no objective rebuilds, is not hidden; the paper does not say.

Command: tools/dist_train.sh configs/mvlt/ablations/d3_itm_mlm.py 8
"""

from mmengine.config import read_base

from mvlt.evaluation import MLMMetric

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.mask.ratio = 0.0
model.neck = None
model.heads.mir = None
test_dataloader.dataset.pipeline.mask.ratio = 0.0
test_evaluator = dict(type=MLMMetric)
