"""Shared by all dual-encoder baselines on a catalogue: data, schedule, categories.

Images are cropped and mirrored. Of this project's dual-encoder recipe, mixup, class names and
caption templates are left out. It is inherited, not trained.
"""

from mmcv.transforms import RandomFlip
from mmengine.config import read_base
from mmengine.optim import OptimWrapper
from mmpretrain.datasets import RandomResizedCrop

from mvlt.datasets import EndlessSampler, LoadImage
from mvlt.models import MVLT, CategoryHead, DualEncoder, PairDataPreprocessor
from projects.baselines.dual_encoder.vse import RegionEncoder, TextGRU

with read_base():
    from mvlt.configs._base_.datasets.catalogue import *
    from mvlt.configs._base_.default_runtime import *
    from mvlt.configs._base_.evaluations.retrieval import *
    from mvlt.configs._base_.schedules.iterations import *

# mmpretrain's ResNet-18 of half the width, for images of 64 px: 4 x 4 cells
cnn = dict(
    type='mmpretrain.ResNet',
    depth=18,
    stem_channels=32,
    base_channels=32,
    strides=(1, 2, 2, 1),
    out_indices=(3,),
)
model = dict(
    type=MVLT,
    data_preprocessor=dict(type=PairDataPreprocessor, context_length=None, attend_pad=False),
    backbone=dict(
        type=DualEncoder,
        image_encoder=dict(type=RegionEncoder, cnn=cnn, cnn_dims=256),
        text_encoder=dict(type=TextGRU),
        vocab_size=vocab_size,
    ),
    heads=dict(
        categories=dict(
            type=CategoryHead,
            for_each='category',
            num_classes='data',
            reads='image',
            hidden_dims=128,
            loss_weight=0.1,
        ),
    ),
)
default_hooks.tokenizer.train_size = vocab_size
loading = dict(type=LoadImage, side='image_size * 1.75', cache_size=10000)
pipeline.load = loading
test_dataloader.dataset.pipeline.load = loading
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=EndlessSampler, shuffle=True),
    dataset=dict(
        train_set,
        pipeline=dict(
            pipeline,
            crop=dict(
                type=RandomResizedCrop,
                scale='image_size',
                crop_ratio_range=(0.65, 1.0),
                interpolation='area',
            ),
            flip=dict(type=RandomFlip, prob=0.5),
        ),
    ),
)
optim_wrapper.type = OptimWrapper
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 1000
default_hooks.checkpoint.save_best = None
log_processor.by_epoch = False
test_cfg.rerank = None
find_unused_parameters = True
