"""Table 3 (d), D3: ITM and MLM (paper: R@1 TIR 32.90, ITR 28.40).

The image is not masked, because no objective reconstructs it. The paper does not state this.

Command: tools/dist_train.sh configs/mvlt/ablations/d3_itm_mlm.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
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
