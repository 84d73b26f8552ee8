"""M-CR and S-CR on Fashion-Gen with PVT-v2-VL. Not in the paper.

Command: tools/dist_train.sh configs/mvlt/backbones/recognition_pvt_v2_vl.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.models.pvt_v2_vl import *
    from ..recognition_fashiongen import *

model.backbone = backbone
load_from = 'work_dirs/pretrain_pvt_v2_vl/epoch_150.pth'
