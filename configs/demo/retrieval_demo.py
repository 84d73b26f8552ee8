"""The demo's TIR and ITR on products that training has not seen, 101 protocol.

Command: tools/test.py configs/demo/retrieval_demo.py CHECKPOINT
"""

from mmengine.config import read_base


with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.retrieval import *
    from .._base_.models.mvlt_mini import *

model.backbone.vocab_size = vocab_size
model.backbone.image_size = image_size
model.neck = None
model.heads.mir = None  # the MLM head is the encoder's, where test_cfg.order asks for one
test_cfg.num_queries = 300
