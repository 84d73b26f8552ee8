"""The demo's M-CR and S-CR: fine-tuning of the pre-trained model.

Command: tools/train.py configs/demo/recognition_demo.py
Hardware: two CPU cores. Time: not measured. Accuracy: 100 and 100 %
(docs/results/2026-11-24-demo.md).
"""

from mmcv.transforms import RandomFlip
from mmengine.config import read_base

from mvlt.datasets import EndlessSampler
from mvlt.models import CategoryHead

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.recognition import *
    from .._base_.models.mvlt_mini import *
    from .._base_.schedules.iterations import *

model.backbone.vocab_size = vocab_size
model.neck = None
model.heads.merge(
    dict(
        mir=None,
        itm=None,
        mlm=None,
        main_category=dict(type=CategoryHead, num_classes='data', hidden_dims=128),
        sub_category=dict(type=CategoryHead, num_classes='data', hidden_dims=128),
    )
)
load_from = 'work_dirs/pretrain_demo/iter_1400.pth'
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=EndlessSampler, shuffle=True),
    dataset=dict(
        train_set,
        pipeline=dict(pipeline, flip=dict(type=RandomFlip, prob=0.5)),
    ),
)
train_cfg.max_iters = 120
param_scheduler.warmup.end = 20
param_scheduler.decay.begin = 20
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 60
log_processor.by_epoch = False
