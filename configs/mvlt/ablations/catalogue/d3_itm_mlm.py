"""D3 of Table 3 on a catalogue: ITM and MLM, no image hidden.

Command: tools/train.py configs/mvlt/ablations/catalogue/d3_itm_mlm.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.evaluation import MLMMetric

with read_base():
    from ...pretrain_catalogue import *

train_dataloader.dataset.dataset.pipeline.mask.ratio = 0.0
model.neck = None
model.heads.mir = None
test_dataloader.dataset.pipeline.mask.ratio = 0.0
test_evaluator = dict(type=MLMMetric)
