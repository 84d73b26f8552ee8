"""Pre-training on a catalogue, small enough for a machine without a GPU.

It differs from the paper, because its model starts at random: see configs/demo/pretrain_demo.py.
Command: tools/train.py configs/mvlt/pretrain_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: 23 minutes. R@1 of 101: TIR 4.5, ITR 3.0
(docs/results/2026-11-23-products.md).
"""

from mmcv.transforms import RandomFlip
from mmengine.config import read_base

from mvlt.datasets import EndlessSampler, MaskWords, MatchingPairs, RandomGridMask
from mvlt.engine import PicturesHook

with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.pretraining import *
    from .._base_.evaluations.validation import *
    from .._base_.models.mvlt_mini import *
    from .._base_.schedules.iterations import *

model.backbone.vocab_size = vocab_size
model.heads.itm.loss_weight = 8.0
model.heads.mlm.loss_weight = 8.0
default_hooks.tokenizer.train_size = vocab_size
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=EndlessSampler, shuffle=True),
    dataset=dict(
        type=MatchingPairs,
        negative_prob=0.5,
        same_category_prob=0.3,
        dataset=dict(
            train_set,
            pipeline=dict(
                pipeline,
                flip=dict(type=RandomFlip, prob=0.5),
                mask=dict(type=RandomGridMask, ratio=0.5, alpha=2, prob=0.3),
                words=dict(type=MaskWords, ratio=0.3, **tokenizer),
            ),
        ),
    ),
)
test_dataloader.dataset.pipeline.merge(
    dict(
        mask=dict(type=RandomGridMask, ratio=0.5, alpha=2),
        words=dict(type=MaskWords, ratio=0.15, **tokenizer),
    )
)
train_cfg.val_interval = 1500
train_cfg.max_iters = 6000
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 250
log_processor.by_epoch = False
default_hooks.pictures = dict(type=PicturesHook, interval=1000)
val_dataloader = val_loader
