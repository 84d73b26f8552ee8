"""Fig. 1, top, by classification, on a catalogue: 64 clusters of gradient histograms.

Command: tools/train.py mvlt/ablations/catalogue/features_clusters --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.engine import FitClustersHook
from mvlt.models import MaskedClusterHead

with read_base():
    from .features_regression import *

model.heads.mir.type = MaskedClusterHead
model.heads.mir.num_clusters = 64
default_hooks.fit_clusters = dict(type=FitClustersHook)
