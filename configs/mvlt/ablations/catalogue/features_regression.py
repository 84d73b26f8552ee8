"""Fig. 1, top, by regression, on a catalogue: gradient histograms of hidden patches, not pixels.

Histograms (HOG) need no weights; patches are the mask's units of 8 pixels.

Command: tools/train.py mvlt/ablations/catalogue/features_regression --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.evaluation import MLMMetric
from mvlt.models import HOGTargets, MaskedFeatureHead

with read_base():
    from ...pretrain_catalogue import *

model.heads.mir = dict(
    type=MaskedFeatureHead, targets=dict(type=HOGTargets, stride=8), loss_weight=1.0
)
test_evaluator = dict(type=MLMMetric)
