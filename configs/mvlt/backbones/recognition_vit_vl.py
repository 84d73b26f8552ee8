"""M-CR and S-CR on Fashion-Gen with the single-scale ViT-VL (Fig. 4a).

Command: tools/dist_train.sh configs/mvlt/backbones/recognition_vit_vl.py 8
Time and metric: not measured here.
"""

from mmengine.config import read_base

from mvlt.models import ViTVL

with read_base():
    from ..recognition_fashiongen import *

model.backbone = dict(
    type=ViTVL,
    image_size=image_size,
    text_len=128,
    vocab_size=30522,
    drop_path_rate=0.1,
)
load_from = 'work_dirs/pretrain_vit_vl/epoch_150.pth'
