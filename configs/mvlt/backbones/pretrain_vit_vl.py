"""Pre-training on Fashion-Gen with the single-scale ViT-VL: all three objectives (Fig. 4a).

A masking unit is one patch of 32 pixels (alpha 8 x P 4, footnote 3). A light decoder reconstructs
from one map at 1/32, where the pyramid has a U-Net. The image part starts from an ImageNet
ViT-S/32: convert it with tools/model_converters/to_mvlt.py vit, or start at random with
--cfg-options model.backbone.init_cfg=None.
Command: tools/dist_train.sh configs/mvlt/backbones/pretrain_vit_vl.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.checkpoints import PretrainedImagePart

with read_base():
    from ..._base_.models.vit_vl import *
    from ..pretrain_fashiongen import *

model.backbone = backbone
model.data_preprocessor.mean = (0.5, 0.5, 0.5)  # as ViT's ImageNet weights expect
model.data_preprocessor.std = (0.5, 0.5, 0.5)
model.backbone.init_cfg = dict(
    type=PretrainedImagePart, checkpoint='checkpoints/vit_s32.safetensors'
)
model.neck = decoder
train_dataloader.dataset.dataset.pipeline.mask.alpha = 8
test_dataloader.dataset.pipeline.mask.alpha = 8
