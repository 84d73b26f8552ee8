"""Dual encoder on Fashion-Gen, the paper's network: contrast, MLM, hard-negative matching.

Not in the paper: ALBEF's schedule, embeddings of 256 dimensions and a learnable temperature, and
GRIT-VLP's batches of one category. Similarities are computed over the pairs of all processes. The
image part starts from an ImageNet PVT-Tiny; to start at random: --cfg-options
model.backbone.init_cfg=None.
Command: tools/dist_train.sh configs/mvlt/dual_encoder_fashiongen.py 8
Hardware: 8 GPUs, batch 8 x 64. Time and metric: not measured.
"""

from mmcv.transforms import RandomFlip
from mmengine.config import read_base
from mmpretrain.datasets import RandomResizedCrop

from mvlt.datasets import CategoryBatchSampler, MaskWords, AugmentCaption
from mvlt.engine import WeightAverageHook

with read_base():
    from .._base_.datasets.fashiongen import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.retrieval import *
    from .._base_.evaluations.validation import *
    from .._base_.models.dual_encoder_tiny import *
    from .._base_.schedules.albef import *

batch_size = 64
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=8,
    pin_memory=True,
    persistent_workers=True,
    sampler=dict(type=CategoryBatchSampler, batch_size=batch_size, group=16, share=0.5),
    dataset=dict(
        train_set,
        pipeline=dict(
            pipeline,
            crop=dict(
                type=RandomResizedCrop,
                scale='image_size',
                crop_ratio_range=(0.7, 1.0),
                interpolation='area',
            ),
            flip=dict(type=RandomFlip, prob=0.5),
            augment_caption=dict(type=AugmentCaption, drop=0.1),
            words=dict(type=MaskWords, ratio=0.3, **tokenizer),
        ),
    ),
)
default_hooks.average = dict(type=WeightAverageHook, momentum=0.001)
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 500
log_processor.by_epoch = False
val_dataloader = val_loader
val_cfg.rerank = None
test_cfg.rerank = None
