"""Pre-training on Fashion-Gen: the released code's recipe, where it differs from the paper.

Images are masked in odd steps only, [PAD] is attended to, MLM also learns from negative pairs,
images are cropped to the product and not normalised, and the partial decoder reconstructs. Each
image is repeated three times an epoch, so an epoch sees a third of the images. The slip of its
random masks is not repeated.
1 % of the training products are held out for validation; neither paper nor released code has a
validation split. To train on all products: --cfg-options val_cfg=None
train_dataloader.dataset.dataset.split=all
Command: tools/dist_train.sh configs/mvlt/pretrain_fashiongen_released.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import MaskWords, MatchingPairs, RandomGridMask, RepeatedSampler
from mvlt.engine import MaskStepsHook, PicturesHook
from mvlt.checkpoints import PretrainedImagePart

with read_base():
    from .._base_.datasets.fashiongen_released import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.pretraining import *
    from .._base_.evaluations.validation import *
    from .._base_.models.mvlt_released import *
    from .._base_.schedules.released import *

model.backbone.init_cfg = dict(
    type=PretrainedImagePart, checkpoint='checkpoints/pvt_tiny.safetensors'
)
default_hooks.mask_steps = dict(type=MaskStepsHook)
default_hooks.pictures = dict(type=PicturesHook, interval=5000)
train_dataloader = dict(
    batch_size=150,
    num_workers=8,
    pin_memory=True,
    persistent_workers=True,
    sampler=dict(type=RepeatedSampler, num_repeats=3),
    dataset=dict(
        type=MatchingPairs,
        negative_prob=0.5,
        dataset=dict(
            train_set,
            pipeline=dict(
                pipeline,
                mask=dict(type=RandomGridMask, ratio=0.5, alpha=4),
                words=dict(type=MaskWords, ratio=0.15, **tokenizer),
            ),
        ),
    ),
)
test_dataloader.dataset.pipeline.merge(
    dict(
        mask=dict(type=RandomGridMask, ratio=0.5, alpha=4),
        words=dict(type=MaskWords, ratio=0.15, **tokenizer),
    )
)
val_dataloader = val_loader
