"""MVLT as its authors released it: partial decoder, [PAD] attended to, no normalisation.

For the released checkpoints (tools/model_converters/to_mvlt.py released) and their figures.
"""

from mvlt.models import (
    MVLT,
    PVTVL,
    ITMHead,
    MIRHead,
    MLMHead,
    PairDataPreprocessor,
    PartialDecoder,
)

model = dict(
    type=MVLT,
    data_preprocessor=dict(
        type=PairDataPreprocessor,
        mean=None,
        std=None,
        context_length=128,
        attend_pad=True,
        mask_fill=1e-6,
    ),
    backbone=dict(
        type=PVTVL,
        image_size='image_size',
        context_length=128,
        vocab_size=30522,
        drop_path_rate=0.1,
    ),
    neck=dict(type=PartialDecoder),
    heads=dict(
        mir=dict(type=MIRHead, upsample='bilinear', loss_on='image', loss_weight=10.0),
        itm=dict(type=ITMHead, loss_weight=1.0),
        mlm=dict(type=MLMHead, loss_on='all', loss_weight=1.0),
    ),
)
