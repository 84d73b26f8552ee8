"""One model for a shop: search, matching, MLM, inpainting, categories and attributes.

The dual-encoder contrast of dual_encoder_catalogue_scratch.py learns at every step. Heads that
encode image and text together cost several times as much and learn at every fourth: matching with
hard negatives, MLM, MIR, and the categories from image and title. main_category_by_image and
sub_category_by_image read the image alone; so do all attributes.
Command: tools/train.py configs/mvlt/shop_catalogue_scratch.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: 2.6 hours of one thread. R@1 of 101: TIR 40.2, ITR 42.8
(docs/results/2026-11-28-second-round.md).
"""

from mmengine.config import read_base

from mvlt.datasets import MaskWords, RandomGridMask
from mvlt.engine import PicturesHook
from mvlt.models import HardITMHead, MIRHead, MLMHead, UNet

with read_base():
    from .dual_encoder_catalogue_scratch import *

interval = 4
model.neck = dict(type=UNet, channels=(24, 32, 48))
model.heads.attributes = dict(model.heads.labels, for_each='attribute')
model.heads.labels.merge(dict(for_each='category', suffix='_by_image'))
model.heads.merge(
    dict(
        itm=dict(
            type=HardITMHead,
            interval=interval,
            hidden_dims=128,
            negatives=1,
            warmup_steps=4000,
            loss_weight=1.0,
        ),
        mlm=dict(type=MLMHead, interval=interval, loss_on='all', loss_weight=0.5),
        mir=dict(type=MIRHead, interval=interval, loss_on='image', loss_weight=5.0),
        categories=dict(
            type=CategoryHead,
            for_each='category',
            interval=interval,
            num_classes='data',
            reads='pair',
            hidden_dims=128,
            label_smoothing=0.1,
            loss_weight=0.1,
        ),
    )
)
train_dataloader.dataset.pipeline.merge(
    dict(
        mask=dict(type=RandomGridMask, ratio=0.5, alpha=2, prob=0.5),
        words=dict(type=MaskWords, ratio=0.3, **tokenizer),
    )
)
default_hooks.pictures = dict(type=PicturesHook, interval=1500)
find_unused_parameters = True
