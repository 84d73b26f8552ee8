"""Dual encoder on Fashion-Gen from an EfficientNet-Lite0 with ImageNet weights (timm).

dual_encoder_fashiongen.py with joint layers on the stages of a CNN, all trained. Pretrained layers
learn at a tenth of the rate, the last two stages at a third; BatchNorm keeps its statistics. For
another backbone of timm or mmpretrain set `model.backbone.image_encoder`.
Command: tools/dist_train.sh configs/mvlt/dual_encoder_fashiongen_lite0.py 8
Hardware: 8 GPUs, batch 8 x 64. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.models.lite0 import *
    from .dual_encoder_fashiongen import *

model.data_preprocessor = dict(lite0_preprocessor, non_blocking=True)
model.backbone = dict(
    lite0_joint,
    image_encoder=dict(lite0_image_encoder, trainable=True),
    text_encoder=dict(lite0_text_encoder, context_length=128, depth=4),
    vocab_size=30522,
    pool_size=7,
)
optim_wrapper.paramwise_cfg.custom_keys.merge(lite0_rates)
