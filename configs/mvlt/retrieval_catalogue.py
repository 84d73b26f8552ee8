"""TIR and ITR on one's own catalogue, 101 protocol, zero-shot after pre-training.

Command: tools/test.py configs/mvlt/retrieval_catalogue.py CHECKPOINT --data-root MY_CATALOGUE
"""

from mmengine.config import read_base


with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.retrieval import *
    from .._base_.models.mvlt_mini import *

model.backbone.vocab_size = vocab_size
model.backbone.image_size = image_size
model.neck = None
model.heads.mir = None  # the MLM head is the encoder's, where test_cfg.order asks for one
