"""Pre-training on Fashion-Gen with PVT-v2-VL (beyond the paper).

Command: tools/dist_train.sh configs/mvlt/backbones/pretrain_pvt_v2_vl.py 8
Time and metric: not measured here.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.models.pvt_v2_vl import *
    from ..pretrain_fashiongen import *

model.backbone = backbone
