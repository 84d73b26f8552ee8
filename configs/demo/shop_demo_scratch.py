"""shop_demo.py from random weights, for comparison: search, categories and inpainting.

A small mvlt/shop_catalogue_scratch.py. The dual-encoder contrast (for search) and the categories,
which read the image alone, learn at every step. Matching, MLM and MIR encode image and text
together and cost several times as much, so they learn at every second step. pretrain_demo.py trains
the paper's objectives on the same products.

Command: tools/train.py configs/demo/shop_demo_scratch.py (make demo draws its data)
Hardware: two CPU cores. Time: 10.8 minutes. R@1 TIR 76.9 +- 3.7, ITR 76.7 +- 1.2, three seeds
(docs/results/2026-11-28-demo.md).
"""

from mmengine.config import read_base

from mvlt.datasets import CategoryBatchSampler, MaskWords, RandomGridMask, AugmentCaption
from mvlt.engine import PicturesHook
from mvlt.models import CategoryHead, HardITMHead, MIRHead, MLMHead, UNet

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.pretraining import *
    from .._base_.evaluations.validation import *
    from .._base_.models.dual_encoder_mini import *
    from .._base_.schedules.iterations import *

interval = 2
model.backbone.vocab_size = vocab_size
model.backbone.embed_dims = (32, 48, 96, 128)
model.backbone.num_heads = (1, 2, 3, 4)
model.neck = dict(type=UNet, channels=(24, 32, 48))
model.heads.merge(
    dict(
        itm=dict(
            type=HardITMHead, interval=interval, hidden_dims=128, negatives=1, warmup_steps=500
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
    )
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
train_cfg.val_interval = 500
train_cfg.max_iters = 1000
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 250
log_processor.by_epoch = False
default_hooks.pictures = dict(type=PicturesHook, interval=500)
val_dataloader = val_loader
val_cfg.rerank = None
val_cfg.num_candidates = 31
