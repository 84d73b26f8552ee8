"""Dual encoder on a catalogue, from ImageNet weights: search without a GPU in half an hour.

The image encoder is a frozen EfficientNet-Lite0. Its features of augmented images are computed once
(work_dirs/features, reused by later trainings), so that a step costs little. A small text encoder
learns from scratch. Features are mixed (mixup); captions also come from templates over the table's
columns; tokens are dropped. Head prompts compares images with the names of their classes, labels
learns categories and attributes. Tests use the moving average of the weights.
Command: tools/train.py configs/mvlt/dual_encoder_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: 28.4 CPU minutes of one thread, beside other programs. R@1 of 101:
TIR 57.0, ITR 56.3, one seed (docs/results/2026-11-30-a-start-that-has-seen-images.md)
"""

from mmcv.transforms import RandomFlip
from mmengine.config import read_base
from mmpretrain.datasets import RandomResizedCrop

from mvlt.datasets import AugmentCaption, EndlessSampler, LoadImage
from mvlt.engine import (
    BFloat16OptimWrapper,
    FrozenFeaturesHook,
    PromptsHook,
    WeightAverageHook,
)
from mvlt.models import MVLT, CategoryHead, ITCHead, PromptHead

with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.retrieval import *
    from .._base_.evaluations.validation import *
    from .._base_.models.lite0 import *
    from .._base_.schedules.iterations import *

image_size = 224
batch_size = 256
pipeline.resize.interpolation = 'bicubic'
test_dataloader.dataset.pipeline.resize.interpolation = 'bicubic'
val_loader.dataset.pipeline.resize.interpolation = 'bicubic'
known = dict(
    attributes=dict(colour='baseColour', gender='gender', season='season', usage='usage'),
    caption_templates=(
        '{gender} {baseColour} {articleType}',
        '{baseColour} {articleType}',
        '{gender} {articleType}',
        '{articleType}',
        'a photo of {baseColour} {articleType}',
        '{usage} {articleType}',
        '{gender} {articleType} {season}',
    ),
)
model = dict(
    type=MVLT,
    data_preprocessor=dict(lite0_preprocessor, mixup=0.5),
    backbone=dict(lite0_dual, vocab_size=vocab_size),
    neck=None,
    heads=dict(
        itc=dict(type=ITCHead, dims=256),
        labels=dict(
            type=CategoryHead,
            for_each='label',
            num_classes='data',
            reads='image',
            hidden_dims=256,
            label_smoothing=0.1,
            loss_weight=0.05,
        ),
        prompts=dict(
            type=PromptHead,
            labels=('sub_category', 'colour', 'gender'),
            templates=('{}', 'a photo of {}', '{}', '{} clothes', '{}', 'a image of {}'),
            label_smoothing=0.1,
            loss_weight=0.2,
        ),
    ),
)
default_hooks.prompts = dict(type=PromptsHook)
default_hooks.features = dict(type=FrozenFeaturesHook, views=4)
default_hooks.average = dict(type=WeightAverageHook, momentum=0.002)
default_hooks.tokenizer.train_size = vocab_size
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    sampler=dict(type=EndlessSampler, shuffle=True),
    dataset=dict(
        train_set,
        **known,
        pipeline=dict(
            pipeline,
            crop=dict(
                type=RandomResizedCrop,
                scale='image_size',
                crop_ratio_range=(0.5, 1.0),
                backend='pillow',  # as resize: the frozen network sees other pixels otherwise
                interpolation='bicubic',
            ),
            flip=dict(type=RandomFlip, prob=0.5),
            augment_caption=dict(type=AugmentCaption, other=0.15, drop=0.1),
        ),
    ),
)
optim_wrapper.type = BFloat16OptimWrapper
optim_wrapper.optimizer.weight_decay = 0.1
optim_wrapper.paramwise_cfg = dict(
    norm_decay_mult=0.0, bias_decay_mult=0.0, custom_keys=dict(logit_scale=dict(decay_mult=0.0))
)
train_cfg.max_iters = 1500
train_cfg.val_interval = 750
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 250
log_processor.by_epoch = False
val_dataloader = val_loader
val_cfg.rerank = None
val_cfg.num_queries = 1000
val_cfg.num_candidates = 101
default_hooks.checkpoint.save_best = 'retrieval/tir/R@1'
test_cfg.rerank = None
