"""A small MVLT for images of 64 pixels and a machine without a GPU. Not in the paper.

It keeps the paper's pyramid, objectives and loss weights (Eq. 8). Its stages are narrower, its
reductions leave as many image keys as 64 pixels can give, and tokens have no dropout: with dropout
a narrow model does not learn matching in thousands of steps.
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
    data_preprocessor=dict(type=PairDataPreprocessor, context_length=None, attend_pad=False),
    backbone=dict(
        type=PVTVL,
        image_size='image_size',
        context_length=64,
        vocab_size=1000,
        embed_dims=(32, 48, 96, 128),
        depths=(1, 1, 2, 2),
        num_heads=(1, 2, 3, 4),
        mlp_ratios=(4, 4, 4, 4),
        reductions=(4, 2, 1, 1),
        token_embed_dim=128,
        token_dropout=0.0,
        drop_path_rate=0.0,
        init_std=None,
    ),
    neck=dict(type=UNet, channels=(24, 32, 48)),
    heads=dict(
        mir=dict(type=MIRHead, loss_on='image', loss_weight=10.0),
        itm=dict(type=ITMHead, hidden_dims=128, loss_weight=1.0),
        mlm=dict(type=MLMHead, loss_on='matched', loss_weight=1.0),
    ),
)
