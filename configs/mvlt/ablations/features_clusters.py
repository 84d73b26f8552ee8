"""Fig. 1, top, by classification: feature clusters of masked patches (not in Table 3).

As features_regression.py, with 1,024 clusters fitted on 2,000 training images before training. The
paper's Fig. 1 speaks of "probabilities" and does not state of what.

Command: tools/dist_train.sh configs/mvlt/ablations/features_clusters.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.engine import FitClustersHook
from mvlt.models import MaskedClusterHead

with read_base():
    from .features_regression import *

model.heads.mir.type = MaskedClusterHead
model.heads.mir.num_clusters = 1024
default_hooks.fit_clusters = dict(type=FitClustersHook)
