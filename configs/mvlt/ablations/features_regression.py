"""Fig. 1, top, by regression: features of hidden patches in the place of pixels (not in Table 3).

Mask, decoder and schedule are pretrain_fashiongen.py's; the targets are the cells of 16 pixels of
an ImageNet ResNet-50's third stage over the whole picture. The paper's Fig. 1 names no extractor.
Put mmpretrain's weights of it into checkpoints/resnet50.pth.

Command: tools/dist_train.sh configs/mvlt/ablations/features_regression.py 8
Time and metric: not measured here.
"""

from mmengine.config import read_base

from mvlt.evaluation import MLMMetric
from mvlt.models import BackboneTargets, MaskedFeatureHead

with read_base():
    from ..pretrain_fashiongen import *

model.heads.mir = dict(
    type=MaskedFeatureHead,
    targets=dict(
        type=BackboneTargets,
        backbone=dict(
            type='mmpretrain.ResNet',
            depth=50,
            out_indices=(2,),
            init_cfg=dict(
                type='Pretrained', checkpoint='checkpoints/resnet50.pth', prefix='backbone'
            ),
        ),
        channels=1024,
        stride=16,
    ),
    loss_weight=1.0,
)
test_evaluator = dict(type=MLMMetric)
