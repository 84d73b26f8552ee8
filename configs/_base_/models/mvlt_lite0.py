"""A joint MVLT on a frozen EfficientNet-Lite0 with ImageNet weights. Not in the paper.

The network's four stages give the visual side; joint layers of the size of mvlt_mini.py read them
with the tokens. Weights: see dual_encoder_lite0.py.
"""

from mvlt.checkpoints import PretrainedBackbone
from mvlt.models import (
    MVLT,
    BackboneVL,
    ImageBackbone,
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
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        context_length=None,
        attend_pad=False,
    ),
    backbone=dict(
        type=BackboneVL,
        image_encoder=dict(
            type=ImageBackbone,
            backbone=dict(
                type='mmpretrain.TIMMBackbone',
                model_name='tf_efficientnet_lite0',
                features_only=True,
                out_indices=(1, 2, 3, 4),
            ),
            trainable=False,
            image_size='image_size',
            init_cfg=dict(type=PretrainedBackbone, checkpoint='efficientnet_lite0'),
        ),
        image_size='image_size',
        context_length=64,
        vocab_size=1000,
        token_embed_dim=128,
        token_dropout=0.0,
        embed_dims=(32, 64, 128, 256),
        depths=(1, 2, 2),
        num_heads=(2, 4, 8),
        pool_size=4,
    ),
    neck=dict(type=UNet, channels=(24, 32, 48)),
    heads=dict(
        mir=dict(type=MIRHead, loss_on='image', loss_weight=10.0),
        itm=dict(type=ITMHead, hidden_dims=128, loss_weight=1.0),
        mlm=dict(type=MLMHead, loss_on='matched', loss_weight=1.0),
    ),
)
