"""Pre-training on Fashion-Gen with PVT-v2-VL. Not in the paper.

The image part starts from an ImageNet PVT-v2-B1: convert it with
tools/model_converters/to_mvlt.py pvt_v2, or start at random with --cfg-options
model.backbone.init_cfg=None.
Command: tools/dist_train.sh configs/mvlt/backbones/pretrain_pvt_v2_vl.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.checkpoints import PretrainedImagePart

with read_base():
    from ..._base_.models.pvt_v2_vl import *
    from ..pretrain_fashiongen import *

model.backbone = backbone
model.backbone.init_cfg = dict(
    type=PretrainedImagePart, checkpoint='checkpoints/pvt_v2_b1.safetensors'
)
