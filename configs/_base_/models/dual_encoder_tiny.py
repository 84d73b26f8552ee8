"""The paper's network as a dual encoder: contrast, MLM, matching with hard negatives.

Its image part starts from an ImageNet PVT-Tiny.
"""

from mmengine.config import read_base

from mvlt.checkpoints import PretrainedImagePart
from mvlt.models import HardITMHead, ITCHead, MLMHead

with read_base():
    from .mvlt_tiny import *

model.backbone.init_cfg = dict(
    type=PretrainedImagePart, checkpoint='checkpoints/pvt_tiny.safetensors'
)
model.neck = None
model.heads.merge(
    dict(
        mir=None,
        itc=dict(type=ITCHead, dims=256),
        itm=dict(type=HardITMHead, negatives=2, warmup_steps=1000, loss_weight=1.0),
        mlm=dict(type=MLMHead, loss_on='all', loss_weight=1.0),
    )
)
