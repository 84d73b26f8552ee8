"""A small dual-encoder MVLT for 64 pixels and a machine without a GPU. Not in the paper.

The overlapping patches and convolutions of PVT-v2-VL learn more from few pairs than PVT-VL does
(docs/results/).
"""

from mvlt.models import MVLT, PVTV2VL, ITCHead, PairDataPreprocessor

model = dict(
    type=MVLT,
    data_preprocessor=dict(type=PairDataPreprocessor, context_length=None, attend_pad=False),
    backbone=dict(
        type=PVTV2VL,
        image_size='image_size',
        context_length=64,
        vocab_size=1000,
        embed_dims=(48, 64, 128, 192),
        depths=(1, 1, 2, 2),
        num_heads=(1, 2, 4, 6),
        mlp_ratios=(4, 4, 4, 4),
        linear=True,
        pool_size=4,
        token_embed_dim=128,
        token_dropout=0.0,
        drop_path_rate=0.0,
        init_std=None,
    ),
    neck=None,
    heads=dict(itc=dict(type=ITCHead, dims=128)),
)
