"""Ranking on MS-COCO by ViLT's protocol (Table 6: R@1 49.66 TIR, 65.38 ITR, full 5k ranking).

An image, its caption and 15 wrong ones; softmax over the 16; RandAugment (2, 9); batch 8 x 32.
It starts from the model pre-trained on Fashion-Gen; the paper does not say what it starts from.
Command: tools/dist_train.sh configs/mvlt/finetune_coco.py 8
Time and metric: not measured here. configs/mvlt/retrieval_full_coco.py tests it.
"""

from mmengine.config import read_base
from mmpretrain.datasets import RandAugment

from mvlt.datasets import EpochSampler, PackPairInputs, RankingGroups, collate_groups
from mvlt.models import RankingHead

with read_base():
    from .._base_.datasets.coco import *
    from .._base_.default_runtime import *
    from .._base_.models.mvlt_tiny import *
    from .._base_.schedules.vilt import *

model.backbone.image_size = image_size
model.merge(dict(neck=None, mir_head=None, mlm_head=None))
model.itm_head = dict(type=RankingHead, group_size=16)
load_from = 'work_dirs/pretrain_fashiongen/epoch_150.pth'
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type=EpochSampler, shuffle=True),
    collate_fn=dict(type=collate_groups),
    dataset=dict(
        type=RankingGroups,
        num_negatives=15,
        image_pipeline=[
            *to_pixels,
            dict(
                type=RandAugment,
                _scope_='mmpretrain',  # where its policies are found
                policies='timm_increasing',
                num_policies=2,
                magnitude_level=9,
            ),
        ],
        text_pipeline=[*to_tokens, dict(type=PackPairInputs)],
        dataset=dict(train_set, pipeline=[]),
    ),
)
