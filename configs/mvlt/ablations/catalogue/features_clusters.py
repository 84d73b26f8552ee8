"""Fig. 1, top, by classification, on a catalogue: 64 clusters of gradient histograms.

Command: tools/train.py mvlt/ablations/catalogue/features_clusters --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.engine import FitClustersHook
from mvlt.models import MaskedClusterHead

with read_base():
    from .features_regression import *

model.mir_head.type = MaskedClusterHead
model.mir_head.num_clusters = 64
custom_hooks.append(dict(type=FitClustersHook))
