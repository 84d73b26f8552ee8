"""The demo's pre-training: all three objectives on drawn products.

Command: make demo (or tools/train.py configs/demo/pretrain_demo.py once its data are there)
Hardware: two CPU cores. Time and metric: docs/results/.
"""

from mmengine.config import read_base
from mmengine.dataset import InfiniteSampler

from mvlt.datasets import MaskWords, MatchingPairs, PackPairInputs, RandomGridMask

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.models.mvlt_small_image import *
    from .._base_.schedules.iterations import *

model.backbone.vocab_size = vocab_size
model.backbone.image_size = image_size
custom_hooks[0].train_size = vocab_size
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=InfiniteSampler, shuffle=True),
    dataset=dict(
        type=MatchingPairs,
        negative_prob=0.5,
        same_category_prob=0.5,  # beyond the paper (0): wrong captions of the same kind
        dataset=dict(
            train_set,
            pipeline=[
                *to_pixels,
                dict(type=RandomGridMask, ratio=0.5, alpha=2),
                *to_tokens,
                dict(type=MaskWords, ratio=0.15, **vocabulary),
                dict(type=PackPairInputs),
            ],
        ),
    ),
)
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 250
log_processor.by_epoch = False
