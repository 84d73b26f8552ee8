"""Pre-training on Fashion-Gen with the single-scale ViT-VL: all three objectives (Fig. 4a).

A unit is one patch of 32 pixels (alpha 8 x P 4, footnote 3). One map at 1/32 is rebuilt from by a
light decoder, where the pyramid has a U-Net. The image part starts from an ImageNet ViT-S/32,
converted by tools/model_converters/to_mvlt.py vit; at random: --cfg-options
model.backbone.init_cfg=None.
Command: tools/dist_train.sh configs/mvlt/backbones/pretrain_vit_vl.py 8
Time and metric: not measured here.
"""

from mmengine.config import read_base

from mvlt.checkpoints import PretrainedImagePart

with read_base():
    from ..._base_.models.vit_vl import *
    from ..pretrain_fashiongen import *

model.backbone = backbone
model.data_preprocessor.mean = (0.5, 0.5, 0.5)  # ViT's ImageNet weights are made for these
model.data_preprocessor.std = (0.5, 0.5, 0.5)
model.backbone.init_cfg = dict(
    type=PretrainedImagePart, checkpoint='checkpoints/vit_s32.safetensors'
)
model.neck = decoder
train_dataloader.dataset.dataset.pipeline.mask.alpha = 8
test_dataloader.dataset.pipeline.mask.alpha = 8
