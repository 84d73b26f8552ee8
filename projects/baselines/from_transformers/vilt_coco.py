"""ViLT-Base/32 on COCO (Table 6: R@1 TIR 41.30, ITR 61.80), from a folder of its weights.

Save the weights with transformers into checkpoints/vilt-b32-mlm, or start at random with
--cfg-options model.backbone.folder=None. ViLT normalises images with mean and deviation 0.5.
Command: tools/dist_train.sh projects/baselines/from_transformers/vilt_coco.py 8
Hardware: 8 GPUs, batch 8 x 32. Time and metric: not measured.
"""

from mmengine.config import read_base

from projects.baselines.from_transformers.adapters import ViltPairs, ViltRankHead

with read_base():
    from ..pairs_coco import *

model.data_preprocessor.merge(dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)))
model.backbone = dict(
    type=ViltPairs,
    folder='checkpoints/vilt-b32-mlm',
    vocab_size=30522,
    empty_caption=(101, 102),
    settings=dict(image_size='image_size', patch_size=32),
)
model.neck = None
model.heads.merge(dict(region_classes=None, itm=dict(_delete_=True, type=ViltRankHead)))
default_hooks.fit_clusters = None
train_dataloader.dataset.dataset.pipeline.mask = None
