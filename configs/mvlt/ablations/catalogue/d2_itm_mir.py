"""D2 of Table 3 on a catalogue: ITM and MIR, no word hidden.

Command: tools/train.py configs/mvlt/ablations/catalogue/d2_itm_mir.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.evaluation import ReconstructionMetric

with read_base():
    from ...pretrain_catalogue import *

train_dataloader.dataset.dataset.pipeline.words.ratio = 0.0
model.heads.mlm = None
test_dataloader.dataset.pipeline.words.ratio = 0.0
test_evaluator = dict(type=ReconstructionMetric)
