"""Pre-training on Fashion-Gen: the paper's recipe (Sec. 3.2, 4.1; Eq. 8).

Image and caption are masked together and the three losses taken in one pass. The image part starts
from an ImageNet PVT-Tiny (Table 4), converted by tools/model_converters/to_mvlt.py pvt; at random:
--cfg-options model.backbone.init_cfg=None.
Command: tools/dist_train.sh configs/mvlt/pretrain_fashiongen.py 8
Hardware: 8 GPUs (the paper: 8 V100), batch 8 x 150. Time and metric: not measured here.
"""

from mmengine.config import read_base
from mmengine.dataset import DefaultSampler

from mvlt.datasets import EpochSampler, MaskWords, MatchingPairs, PackPairInputs, RandomGridMask
from mvlt.engine import PicturesHook, PretrainedImagePart

with read_base():
    from .._base_.datasets.fashiongen import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.pretraining import *
    from .._base_.models.mvlt_tiny import *
    from .._base_.schedules.paper import *

model.backbone.image_size = image_size
model.backbone.init_cfg = dict(
    type=PretrainedImagePart, checkpoint='checkpoints/pvt_tiny.safetensors'
)
train_dataloader = dict(
    batch_size=150,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type=EpochSampler, shuffle=True),
    dataset=dict(
        type=MatchingPairs,
        negative_prob=0.5,
        dataset=dict(
            train_set,
            pipeline=[
                *to_pixels,
                dict(type=RandomGridMask, ratio=0.5, alpha=4),
                *to_tokens,
                dict(type=MaskWords, ratio=0.15, **vocabulary),
                dict(type=PackPairInputs),
            ],
        ),
    ),
)
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
            dict(type=MaskWords, ratio=0.15, **vocabulary),
            dict(type=PackPairInputs),
        ],
    ),
)
custom_hooks.append(dict(type=PicturesHook, interval=5000))
