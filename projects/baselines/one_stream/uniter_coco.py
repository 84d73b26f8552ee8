"""UNITER on COCO (Table 6: R@1 TIR 50.30, ITR 64.40).

Command: tools/dist_train.sh projects/baselines/one_stream/uniter_coco.py 8
Hardware: 8 GPUs, batch 8 x 32. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.models import HOGTargets, MaskedFeatureHead
from projects.baselines.one_stream.objectives import MaskOneModality, WordRegionAlignmentHead

with read_base():
    from ..pairs_coco import *

model.heads.region_features = dict(type=MaskedFeatureHead, targets=dict(type=HOGTargets, stride=32))
model.heads.alignment = dict(type=WordRegionAlignmentHead)
train_dataloader.dataset.dataset.pipeline.pop('pack')
train_dataloader.dataset.dataset.pipeline.one_modality = dict(type=MaskOneModality)
train_dataloader.dataset.dataset.pipeline.pack = pipeline.pack
