"""M-CR and S-CR on Fashion-Gen with the released network: 30 epochs of fine-tuning, then test.

A converted released checkpoint of recognition needs no training. Its heads have 48 and 122 rows,
numbered by first appearance: 121 sub-categories of training and CORSETS & BODYSUITS, which only
validation has (fidelity point 29). The published script starts from ImageNet weights and stops with
an error; here fine-tuning starts from pre-training.
Command: tools/dist_test.sh configs/mvlt/recognition_fashiongen_released.py CHECKPOINT 8
The released log: accuracy 98.2477 and 93.5717, macro-F 0.8952777 and 0.8286231.
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import EpochSampler
from mvlt.models import CategoryHead

with read_base():
    from .._base_.datasets.fashiongen_released import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.recognition import *
    from .._base_.models.mvlt_released import *
    from .._base_.schedules.released import *

model.neck = None
model.heads.merge(
    dict(
        mir=None,
        itm=None,
        mlm=None,
        main_category=dict(type=CategoryHead, num_classes=48),
        sub_category=dict(type=CategoryHead, num_classes=122),
    )
)
load_from = 'work_dirs/pretrain_fashiongen_released/epoch_150.pth'
train_cfg.max_epochs = 30
train_dataloader = dict(
    batch_size=150,
    num_workers=8,
    pin_memory=True,
    persistent_workers=True,
    sampler=dict(type=EpochSampler, shuffle=True),
    dataset=dict(
        train_set,
        split='all',  # nothing is validated
        class_order='appearance',
        pipeline=pipeline,
    ),
)
test_dataloader.dataset.class_order = 'appearance'
