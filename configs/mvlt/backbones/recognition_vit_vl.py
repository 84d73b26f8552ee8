"""M-CR and S-CR on Fashion-Gen with the single-scale ViT-VL (Fig. 4a).

Command: tools/dist_train.sh configs/mvlt/backbones/recognition_vit_vl.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.models.vit_vl import *
    from ..recognition_fashiongen import *

model.backbone = backbone
model.data_preprocessor.mean = (0.5, 0.5, 0.5)  # as ViT's ImageNet weights expect
model.data_preprocessor.std = (0.5, 0.5, 0.5)
load_from = 'work_dirs/pretrain_vit_vl/epoch_150.pth'
