"""The model of make demo on drawn products: search, categories, matching and inpainting.

A small mvlt/shop_catalogue.py on a frozen network with ImageNet weights. The dual-encoder contrast,
which search uses, and the categories, which read the image alone, learn at every step. Matching,
MLM and MIR encode image and text together and cost several times as much, so they learn at every
second step. pretrain_demo.py trains the paper's objectives on the same products, from scratch.

Command: make demo (or tools/train.py configs/demo/shop_demo.py once its data exist)
Hardware: two CPU cores. Time: 9.1 CPU minutes of one thread. R@1 TIR 88.0, ITR 91.0, one seed
(docs/results/2026-11-30-a-start-that-has-seen-images.md).
"""

from mmengine.config import read_base

from mvlt.datasets import AugmentCaption, CategoryBatchSampler, MaskWords, RandomGridMask
from mvlt.engine import BFloat16OptimWrapper, PicturesHook
from mvlt.models import MVLT, CategoryHead, HardITMHead, ITCHead, MIRHead, MLMHead, UNet

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.pretraining import *
    from .._base_.evaluations.validation import *
    from .._base_.models.lite0 import *
    from .._base_.schedules.iterations import *

image_size = 96
interval = 2
model = dict(
    type=MVLT,
    data_preprocessor=lite0_preprocessor,
    backbone=dict(lite0_joint, vocab_size=vocab_size),
    neck=dict(type=UNet, channels=(24, 32, 48)),
    heads=dict(
        itc=dict(type=ITCHead, dims=None),
        itm=dict(
            type=HardITMHead, interval=interval, hidden_dims=128, negatives=1, warmup_steps=150
        ),
        mlm=dict(type=MLMHead, interval=interval, loss_on='all', loss_weight=1.0),
        mir=dict(type=MIRHead, interval=interval, loss_on='image', loss_weight=10.0),
        categories=dict(
            type=CategoryHead,
            for_each='category',
            num_classes='data',
            reads='image',  # on the page an image often comes without a title
            hidden_dims=128,
            loss_weight=0.2,
        ),
    ),
)
default_hooks.tokenizer.train_size = vocab_size
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=CategoryBatchSampler, batch_size=64, group=16, share=0.5),
    dataset=dict(
        train_set,
        caption_templates=('{name}',),  # shoppers type short queries
        pipeline=dict(
            pipeline,
            augment_caption=dict(type=AugmentCaption, other=0.1),
            mask=dict(type=RandomGridMask, ratio=0.5, alpha=2, prob=0.5),
            words=dict(type=MaskWords, ratio=0.3, **tokenizer),
        ),
    ),
)
test_dataloader.dataset.pipeline.merge(
    dict(
        mask=dict(type=RandomGridMask, ratio=0.5, alpha=2),
        words=dict(type=MaskWords, ratio=0.15, **tokenizer),
    )
)
optim_wrapper.type = BFloat16OptimWrapper
train_cfg.val_interval = 250
train_cfg.max_iters = 500
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 250
log_processor.by_epoch = False
default_hooks.pictures = dict(type=PicturesHook, interval=250)
val_dataloader = val_loader
val_cfg.rerank = None
val_cfg.num_candidates = 31
