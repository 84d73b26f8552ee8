"""TIR and ITR on the demo's products, full protocol: 3,780 pictures x their captions.

Command: tools/test.py configs/demo/retrieval_full_demo.py CHECKPOINT --rerank 50
"""

from mmengine.config import read_base
from mmengine.dataset import DefaultSampler

from mvlt.datasets import PackPairInputs

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.full_ranking import *
    from .._base_.models.mvlt_mini import *

model.backbone.vocab_size = vocab_size
model.backbone.image_size = image_size
model.merge(dict(neck=None, mir_head=None))  # the MLM head is the cheap scorer's
test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(test_set, pipeline=[*to_pixels, *to_tokens, dict(type=PackPairInputs)]),
)
