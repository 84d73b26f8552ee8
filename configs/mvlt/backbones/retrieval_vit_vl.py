"""TIR and ITR on Fashion-Gen with the single-scale ViT-VL (Fig. 4a).

Command: tools/dist_test.sh configs/mvlt/backbones/retrieval_vit_vl.py CHECKPOINT 8
Time and metric: not measured here.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.models.vit_vl import *
    from ..retrieval_fashiongen import *

model.backbone = backbone
model.data_preprocessor.mean = (0.5, 0.5, 0.5)  # ViT's ImageNet weights are made for these
model.data_preprocessor.std = (0.5, 0.5, 0.5)
