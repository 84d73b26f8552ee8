"""TIR and ITR on Fashion-Gen with the released network (Table 2: R@1 34.60 and 33.10).

Takes a converted released checkpoint: tools/model_converters/to_mvlt.py released.
Command: tools/dist_test.sh configs/mvlt/retrieval_fashiongen_released.py CHECKPOINT 8
"""

from mmengine.config import read_base
from mmengine.dataset import DefaultSampler

from mvlt.datasets import PackPairInputs

with read_base():
    from .._base_.datasets.fashiongen_released import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.retrieval import *
    from .._base_.models.mvlt_released import *

model.backbone.image_size = image_size
model.merge(dict(neck=None, mir_head=None, mlm_head=None))
test_dataloader = dict(
    batch_size=64,
    num_workers=8,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        test_set,
        pipeline=[
            *to_pixels,
            *to_tokens,
            dict(type=PackPairInputs),
        ],
    ),
)
