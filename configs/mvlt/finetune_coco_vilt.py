"""A variant of Table 6: ViLT's ranking loss, which MVLT does without (Sec. 4.4).

A softmax over an image's caption and 15 negatives, after pretrain_coco.py. The paper's row is
pretrain_coco.py itself, ranked by ITM.
Command: tools/dist_train.sh configs/mvlt/finetune_coco_vilt.py 8
Hardware: 8 GPUs, batch 8 x 32. Time and metric: not measured. retrieval_full_coco.py tests it.
"""

from mmengine.config import read_base

from mvlt.datasets import EpochSampler, RankingGroups, collate_groups
from mvlt.models import RankingHead

with read_base():
    from .._base_.datasets.coco import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.validation import *
    from .._base_.models.mvlt_tiny import *
    from .._base_.schedules.vilt import *

model.neck = None
model.heads.mir = None
model.heads.mlm = None
model.heads.itm = dict(type=RankingHead, group_size=16)
load_from = 'work_dirs/pretrain_coco/epoch_10.pth'
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    pin_memory=True,
    persistent_workers=True,
    sampler=dict(type=EpochSampler, shuffle=True),
    collate_fn=dict(type=collate_groups),
    dataset=dict(
        type=RankingGroups,
        num_negatives=15,
        dataset=dict(train_set, pipeline=dict(pipeline, augment=augment)),
    ),
)
val_dataloader = val_loader
