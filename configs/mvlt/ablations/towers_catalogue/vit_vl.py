"""Towers on a catalogue: ViT-VL, one scale, in the place of PVT-v2-VL.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/vit_vl.py --data-root DATA
"""

from mmengine.config import read_base

from mvlt.models import ViTVL

with read_base():
    from ...towers_catalogue import *

model.backbone = dict(
    type=ViTVL,
    image_size=image_size,
    text_len=64,
    vocab_size=vocab_size,
    embed_dims=(192,),
    depth=6,
    num_heads=6,
    patch_size=8,
    word_dims=128,
    word_dropout=0.0,
    drop_path_rate=0.05,
    init_std=None,
)
