"""A small MVLT for small pictures and two CPU cores: half of Table 1's widths, one layer a stage.

Not in the paper. It keeps the paper's objectives, masking and pyramid.
"""

from mvlt.models import (
    MVLT,
    PVTVL,
    ITMHead,
    MIRHead,
    MLMHead,
    PairDataPreprocessor,
    UNet,
)

model = dict(
    type=MVLT,
    data_preprocessor=dict(type=PairDataPreprocessor, text_len=None, attend_pad=False),
    backbone=dict(
        type=PVTVL,
        image_size=64,
        text_len=64,
        vocab_size=1000,
        embed_dims=(32, 64, 128, 192),
        depths=(1, 1, 2, 2),
        num_heads=(1, 2, 4, 6),
        mlp_ratios=(4, 4, 4, 4),
        word_dims=128,
        drop_path_rate=0.0,
        init_std=None,
    ),
    neck=dict(type=UNet),
    mir_head=dict(type=MIRHead, on='image', loss_weight=10.0),
    itm_head=dict(type=ITMHead, hidden_dims=192, loss_weight=1.0),
    mlm_head=dict(type=MLMHead, on='matched', loss_weight=1.0),
    category_heads=dict(),
)
