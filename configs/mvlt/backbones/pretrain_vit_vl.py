"""Pre-training on Fashion-Gen with the single-scale ViT-VL (Fig. 4a).

One map at 1/32 cannot be rebuilt from, so ITM and MLM are trained, not MIR, and no image is
hidden.
Command: tools/dist_train.sh configs/mvlt/backbones/pretrain_vit_vl.py 8
Time and metric: not measured here.
"""

from mmengine.config import read_base

from mvlt.evaluation import MLMMetric

with read_base():
    from ..._base_.models.vit_vl import *
    from ..pretrain_fashiongen import *

model.backbone = backbone
model.merge(dict(neck=None, mir_head=None))
train_dataloader.dataset.dataset.pipeline[2].ratio = 0.0
test_dataloader.dataset.pipeline[2].ratio = 0.0
test_evaluator = dict(type=MLMMetric)
