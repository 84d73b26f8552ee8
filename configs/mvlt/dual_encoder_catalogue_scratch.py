"""Dual encoder on a catalogue: search after an hour without a GPU.

Image and text are encoded apart into embeddings (head itc). Further heads read the image alone:
prompts compares it with the names of its classes, labels learns categories and attributes. Images
are cropped, mirrored and mixed (mixup); tokens are dropped; captions are also made from templates
over the table's columns. Tests use the moving average of the weights.
Command: tools/train.py configs/mvlt/dual_encoder_catalogue_scratch.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: 50 to 72 minutes of one thread. R@1 of 101: TIR 40.4, ITR 41.1
(docs/results/2026-11-28-towers.md).
"""

from mmcv.transforms import RandomFlip
from mmengine.config import read_base
from mmpretrain.datasets import RandomResizedCrop

from mvlt.datasets import CenterCropRatio, EndlessSampler, LoadImage, AugmentCaption
from mvlt.engine import BFloat16OptimWrapper, PromptsHook, WeightAverageHook
from mvlt.models import CategoryHead, PromptHead

with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.retrieval import *
    from .._base_.evaluations.validation import *
    from .._base_.models.dual_encoder_mini import *
    from .._base_.schedules.iterations import *

batch_size = 128
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
model.heads.labels = dict(
    type=CategoryHead,
    for_each='label',
    num_classes='data',
    reads='image',
    hidden_dims=128,
    label_smoothing=0.1,
    loss_weight=0.05,
)
model.heads.prompts = dict(
    type=PromptHead,
    labels=('sub_category', 'colour', 'gender'),
    templates=('{}', 'a photo of {}', '{}', '{} clothes', '{}', 'a image of {}'),
    label_smoothing=0.1,
    loss_weight=0.2,
)
default_hooks.prompts = dict(type=PromptsHook)
model.data_preprocessor.mixup = 1.0
model.backbone.vocab_size = vocab_size
model.backbone.drop_path_rate = 0.05
default_hooks.tokenizer.train_size = vocab_size
default_hooks.average = dict(type=WeightAverageHook, momentum=0.002)
# small images stay in memory: decoding takes as long as a step
loading = dict(type=LoadImage, side='image_size * 1.75', cache_size=10000)
pipeline.load = loading
test_dataloader.dataset.pipeline.load = loading
val_loader.dataset.pipeline.load = loading
# products as large as in the training crops
test_dataloader.dataset.pipeline.crop = dict(type=CenterCropRatio, share=0.9)
val_loader.dataset.pipeline.crop = dict(type=CenterCropRatio, share=0.9)
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
                crop_ratio_range=(0.65, 1.0),
                interpolation='area',
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
train_cfg.max_iters = 5600
train_cfg.val_interval = 1400
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 500
log_processor.by_epoch = False
val_dataloader = val_loader
val_cfg.rerank = None
val_cfg.num_queries = 1000
val_cfg.num_candidates = 101
default_hooks.checkpoint.save_best = 'retrieval/tir/R@1'
test_cfg.rerank = None
