"""MIG on Fashion-Gen: rebuild half-masked images (Fig. 7; the paper gives no numbers).

Command: tools/dist_test.sh configs/mvlt/generation_fashiongen.py CHECKPOINT 8
"""

from mmengine.config import read_base
from mmengine.dataset import DefaultSampler

from mvlt.datasets import PackPairInputs, RandomGridMask

with read_base():
    from .._base_.datasets.fashiongen import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.generation import *
    from .._base_.models.mvlt_tiny import *

model.backbone.image_size = image_size
model.merge(dict(itm_head=None, mlm_head=None))
test_dataloader = dict(
    batch_size=64,
    num_workers=8,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        test_set,
        pipeline=[
            *to_pixels,
            dict(type=RandomGridMask, ratio=0.5, alpha=4),
            *to_tokens,
            dict(type=PackPairInputs),
        ],
    ),
)
