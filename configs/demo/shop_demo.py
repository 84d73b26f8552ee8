"""What make demo trains on drawn products: one model for search, categories and completion.

mvlt/shop_catalogue.py in small: towers, by which search goes, and categories, read from the picture
alone, learn at every step; matching, hidden words and masked pictures, which read picture and
caption together and cost several times as much, at every second. pretrain_demo.py has the
paper's objectives on the same products.

Command: make demo (or tools/train.py configs/demo/shop_demo.py once its data are there)
Hardware: two CPU cores. Time and metric: docs/results/.
"""

from mmengine.config import read_base

from mvlt.datasets import LookAlikeSampler, MaskWords, RandomGridMask, RewordCaption
from mvlt.engine import PicturesHook
from mvlt.models import CategoryHead, HardITMHead, MIRHead, MLMHead, UNet

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.pretraining import *
    from .._base_.evaluations.validation import *
    from .._base_.models.mvlt_towers_mini import *
    from .._base_.schedules.iterations import *

interval = 2
model.backbone.vocab_size = vocab_size
model.backbone.embed_dims = (32, 48, 96, 128)
model.backbone.num_heads = (1, 2, 3, 4)
model.neck = dict(type=UNet, channels=(24, 32, 48))
model.heads.merge(
    dict(
        itm=dict(type=HardITMHead, interval=interval, hidden_dims=128, negatives=1, easy_steps=500),
        mlm=dict(type=MLMHead, interval=interval, on='all', loss_weight=1.0),
        mir=dict(type=MIRHead, interval=interval, on='image', loss_weight=10.0),
        categories=dict(
            type=CategoryHead,
            for_each='category',
            num_classes='data',
            reads='image',  # on the page a picture often comes without a title
            hidden_dims=128,
            loss_weight=0.2,
        ),
    )
)
default_hooks.vocabulary.train_size = vocab_size
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=LookAlikeSampler, batch_size=64, group=16, share=0.5),
    dataset=dict(
        train_set,
        wordings=('{name}',),  # people ask in few words
        pipeline=dict(
            pipeline,
            reword=dict(type=RewordCaption, other=0.1),
            mask=dict(type=RandomGridMask, ratio=0.5, alpha=2, prob=0.5),
            words=dict(type=MaskWords, ratio=0.3, **vocabulary),
        ),
    ),
)
test_dataloader.dataset.pipeline.merge(
    dict(
        mask=dict(type=RandomGridMask, ratio=0.5, alpha=2),
        words=dict(type=MaskWords, ratio=0.15, **vocabulary),
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
