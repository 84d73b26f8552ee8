"""The demo's M-CR and S-CR: fine-tuning of the pre-trained model.

Command: tools/train.py configs/demo/recognition_demo.py
"""

from mmcv.transforms import RandomFlip
from mmengine.config import read_base
from mmengine.dataset import DefaultSampler

from mvlt.datasets import EndlessSampler, PackPairInputs
from mvlt.models import CategoryHead

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.recognition import *
    from .._base_.models.mvlt_mini import *
    from .._base_.schedules.iterations import *

model.backbone.vocab_size = vocab_size
model.backbone.image_size = image_size
model.merge(
    dict(
        neck=None,
        mir_head=None,
        itm_head=None,
        mlm_head=None,
        category_heads=dict(
            main_category=dict(type=CategoryHead, num_classes='data', hidden_dims=128),
            sub_category=dict(type=CategoryHead, num_classes='data', hidden_dims=128),
        ),
    )
)
load_from = 'work_dirs/demo/pretrain/iter_1400.pth'
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=EndlessSampler, shuffle=True),
    dataset=dict(
        train_set,
        pipeline=[
            *to_pixels,
            dict(type=RandomFlip, prob=0.5),
            *to_tokens,
            dict(type=PackPairInputs),
        ],
    ),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(test_set, pipeline=[*to_pixels, *to_tokens, dict(type=PackPairInputs)]),
)
train_cfg.max_iters = 120
param_scheduler[0].end = 20
param_scheduler[1].merge(dict(T_max=100, begin=20, end=120))
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 60
log_processor.by_epoch = False
