"""Shared by the rows of Table 6: COCO in Karpathy's split, ViLT's schedule, full 5k ranking.

BERT's size; cells of a ResNet-50 stand for regions. README.md: features from a file. It is
inherited, not trained.
"""

from mmengine.config import read_base

from mvlt.datasets import EpochSampler, MaskWords, MatchingPairs, RandomGridMask
from mvlt.engine import FitClustersHook
from mvlt.models import MVLT, HOGTargets, ITMHead, MaskedClusterHead, MLMHead, PairDataPreprocessor
from projects.baselines.one_stream.objectives import LastMap
from projects.baselines.one_stream.one_stream import OneStream

with read_base():
    from mvlt.configs._base_.datasets.coco import *
    from mvlt.configs._base_.default_runtime import *
    from mvlt.configs._base_.evaluations.full_ranking import *
    from mvlt.configs._base_.schedules.vilt import *

cnn = dict(
    type='mmpretrain.ResNet',
    depth=50,
    out_indices=(3,),
    init_cfg=dict(type='Pretrained', checkpoint='checkpoints/resnet50.pth', prefix='backbone'),
)
model = dict(
    type=MVLT,
    data_preprocessor=dict(type=PairDataPreprocessor, context_length=None, attend_pad=False),
    backbone=dict(
        type=OneStream,
        vocab_size=30522,
        context_length=40,
        dims=768,
        depth=12,
        num_heads=12,
        token_embed_dim=768,
        cnn=cnn,
        cnn_dims=2048,
        stride=32,
    ),
    neck=dict(type=LastMap),
    heads=dict(
        itm=dict(type=ITMHead),
        mlm=dict(type=MLMHead),
        region_classes=dict(
            type=MaskedClusterHead, targets=dict(type=HOGTargets, stride=32), num_clusters=1600
        ),
    ),
)
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type=EpochSampler, shuffle=True),
    dataset=dict(
        type=MatchingPairs,
        negative_prob=0.5,
        dataset=dict(
            train_set,
            pipeline=dict(
                pipeline,
                augment=augment,
                mask=dict(type=RandomGridMask, ratio=0.15, alpha=8),
                words=dict(type=MaskWords, ratio=0.15, **tokenizer),
            ),
        ),
    ),
)
default_hooks.fit_clusters = dict(type=FitClustersHook)
default_hooks.checkpoint.save_best = None
find_unused_parameters = True
test_cfg.merge_captions = False
