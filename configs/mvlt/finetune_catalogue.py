"""TIR and ITR on a catalogue: fine-tune the pre-trained model for matching, then rank.

ITM alone continues, nothing is masked. Three in ten negative captions are of the same sub-category,
as in the candidate lists. tools/test.py with this config measures the result.
Command: tools/train.py configs/mvlt/finetune_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time and metric: not measured.
"""

from mmcv.transforms import RandomFlip
from mmengine.config import read_base

from mvlt.datasets import EndlessSampler, MatchingPairs

with read_base():
    from .._base_.evaluations.validation import *
    from .._base_.models.mvlt_mini import *
    from .._base_.schedules.iterations import *
    from .retrieval_catalogue import *

model.backbone.vocab_size = vocab_size
model.neck = None
model.heads.mir = None
model.heads.mlm = None
load_from = 'work_dirs/pretrain_catalogue/iter_6000.pth'
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type=EndlessSampler, shuffle=True),
    dataset=dict(
        type=MatchingPairs,
        negative_prob=0.5,
        same_category_prob=0.3,
        dataset=dict(
            train_set,
            pipeline=dict(pipeline, flip=dict(type=RandomFlip, prob=0.5)),
        ),
    ),
)
train_cfg.val_interval = 500
train_cfg.max_iters = 1000
default_hooks.checkpoint.by_epoch = False
default_hooks.checkpoint.interval = 250
log_processor.by_epoch = False
val_dataloader = val_loader
