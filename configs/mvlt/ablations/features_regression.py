"""Fig. 1, top, by regression: features of masked patches, not pixels (not in Table 3).

Mask, decoder and schedule are pretrain_fashiongen.py's. The targets are cells of 16 pixels: the
third stage of an ImageNet ResNet-50 over the whole image. The paper's Fig. 1 names no extractor.
Put mmpretrain's weights into checkpoints/resnet50.pth.

Command: tools/dist_train.sh configs/mvlt/ablations/features_regression.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
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
