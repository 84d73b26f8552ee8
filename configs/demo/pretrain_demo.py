"""The demo's pre-training: the paper's three objectives on drawn products.

It differs from the paper, because its model starts at random and has minutes: matching and MLM
weigh 8 instead of 1, half of the negative captions are of the same sub-category, 30 % of the tokens
are masked instead of 15 %, and three images in ten instead of all. Predicting tokens teaches the
model to see; matching then compares what it sees. docs/results/ has what was tried.

Command: tools/train.py configs/demo/pretrain_demo.py (make demo draws its data first)
Hardware: two CPU cores. Time: 3.9 minutes (docs/results/2026-11-24-demo.md, all of make demo then).
Metric: R@1 TIR 29.5 +- 3.0 over four seeds (docs/results/2026-11-25-demo.md).
"""

from mmengine.config import read_base

from mvlt.datasets import EndlessSampler, MaskWords, MatchingPairs, RandomGridMask
from mvlt.engine import PicturesHook

with read_base():
    from .._base_.datasets.demo import *
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
        same_category_prob=0.5,
        dataset=dict(
            train_set,
            pipeline=dict(
                pipeline,
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
train_cfg.val_interval = 700
train_cfg.max_iters = 1400
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 250
log_processor.by_epoch = False
default_hooks.pictures = dict(type=PicturesHook, interval=700)
val_dataloader = val_loader
val_cfg.num_candidates = 31
