"""Towers on a catalogue: the paper's PVT-VL in the place of PVT-v2-VL.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/pvt_vl.py --data-root DATA
"""

from mmengine.config import read_base

from mvlt.models import PVTVL

with read_base():
    from ...towers_catalogue import *

model.backbone = dict(
    type=PVTVL,
    image_size=image_size,
    text_len=64,
    vocab_size=vocab_size,
    embed_dims=(48, 64, 128, 192),
    depths=(1, 1, 2, 2),
    num_heads=(1, 2, 4, 6),
    mlp_ratios=(4, 4, 4, 4),
    reductions=(4, 2, 1, 1),
    word_dims=128,
    word_dropout=0.0,
    drop_path_rate=0.05,
    init_std=None,
)
