"""MIG on one's own catalogue: rebuild half-masked images.

Command: tools/test.py configs/mvlt/generation_catalogue.py CHECKPOINT --data-root MY_CATALOGUE
"""

from mmengine.config import read_base
from mmengine.dataset import DefaultSampler

from mvlt.datasets import PackPairInputs, RandomGridMask

with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.generation import *
    from .._base_.models.mvlt_mini import *

model.backbone.vocab_size = vocab_size
model.backbone.image_size = image_size
model.merge(dict(itm_head=None, mlm_head=None))
test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        test_set,
        pipeline=[
            *to_pixels,
            dict(type=RandomGridMask, ratio=0.5, alpha=2),
            *to_tokens,
            dict(type=PackPairInputs),
        ],
    ),
)
