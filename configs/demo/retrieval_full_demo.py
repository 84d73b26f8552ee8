"""TIR and ITR on the demo's products, full protocol: 3,780 pictures x their captions.

Command: tools/test.py configs/demo/retrieval_full_demo.py CHECKPOINT --shortlist 50
"""

from mmengine.config import read_base


with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.full_ranking import *
    from .._base_.models.mvlt_mini import *

model.backbone.vocab_size = vocab_size
model.backbone.image_size = image_size
model.neck = None
model.heads.mir = None  # the MLM head is the encoder's
