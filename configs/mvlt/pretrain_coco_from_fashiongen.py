"""A variant of Table 6: pretrain_coco.py, started from the Fashion-Gen model.

The paper's row has no extra training data. Positions are resized from 256 to 384 pixels.
Command: tools/dist_train.sh configs/mvlt/pretrain_coco_from_fashiongen.py 8
Hardware: 8 GPUs, batch 8 x 32. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .pretrain_coco import *

model.backbone.init_cfg = None
load_from = 'work_dirs/pretrain_fashiongen/epoch_150.pth'
