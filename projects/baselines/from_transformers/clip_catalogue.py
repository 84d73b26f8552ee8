"""CLIP, small, from random weights; README.md explains how to load pretrained weights.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.models import DualEncoder
from projects.baselines.from_transformers.adapters import ImageSide, ProjectedITCHead, TextSide

with read_base():
    from .small_catalogue import *

model.backbone = dict(
    type=DualEncoder,
    image_encoder=dict(
        type=ImageSide,
        kind='CLIPVisionModelWithProjection',
        settings=dict(small_vision, projection_dim=128),
    ),
    text_encoder=dict(
        type=TextSide,
        kind='CLIPTextModelWithProjection',
        settings=dict(
            small_text,
            projection_dim=128,
            max_position_embeddings=77,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
        ),
    ),
    vocab_size=vocab_size,
)
model.heads.itc = dict(type=ProjectedITCHead)
