"""TIR and ITR on the demo's products, full protocol: 3,780 pictures x their captions.

Command: tools/test.py configs/demo/retrieval_full_demo.py CHECKPOINT --shortlist 50
"""

from mmengine.config import read_base

from mvlt.models import ITMHead

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.full_ranking import *
    from .._base_.models.mvlt_towers_demo import *

model.backbone.vocab_size = vocab_size
model.backbone.image_size = image_size
model.heads.itm = dict(type=ITMHead, hidden_dims=128)  # test_cfg.order = 'both', 'matching'
test_cfg.order = 'vectors'
