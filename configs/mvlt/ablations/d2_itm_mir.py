"""Table 3 (d), D2: ITM and MIR (paper: R@1 TIR 32.20, ITR 30.40).

Tokens are not masked, because no objective predicts them. The paper does not state this.

Command: tools/dist_train.sh configs/mvlt/ablations/d2_itm_mir.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.evaluation import ReconstructionMetric

with read_base():
    from ..pretrain_fashiongen import *

train_dataloader.dataset.dataset.pipeline.words.ratio = 0.0
model.heads.mlm = None
test_dataloader.dataset.pipeline.words.ratio = 0.0
test_evaluator = dict(type=ReconstructionMetric)
