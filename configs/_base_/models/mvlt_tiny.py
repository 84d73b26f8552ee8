"""MVLT with PVT-VL Tiny and all three objectives: Table 1, Eq. 8 (weights 10, 1, 1)."""

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
    data_preprocessor=dict(
        type=PairDataPreprocessor,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        context_length=None,  # 128 pads every caption to 128 tokens
        attend_pad=False,  # True: as in the released code
        mask_fill=1e-6,
    ),
    backbone=dict(
        type=PVTVL,
        image_size='image_size',
        context_length=128,
        vocab_size=30522,
        drop_path_rate=0.1,
    ),
    neck=dict(type=UNet),
    heads=dict(
        mir=dict(type=MIRHead, loss_on='image', loss_weight=10.0),
        itm=dict(type=ITMHead, loss_weight=1.0),
        mlm=dict(type=MLMHead, loss_on='matched', loss_weight=1.0),
    ),
)
