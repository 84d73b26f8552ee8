"""M-CR and S-CR on Fashion-Gen: fine-tune the pre-trained model, then test (Table 2).

The paper: accuracy 98.26 and 93.57, macro-F 0.896 and 0.829. Its settings are those of
pre-training; 30 epochs are the released code's.
Command: tools/dist_train.sh configs/mvlt/recognition_fashiongen.py 8
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import EpochSampler
from mvlt.models import CategoryHead

with read_base():
    from .._base_.datasets.fashiongen import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.recognition import *
    from .._base_.models.mvlt_tiny import *
    from .._base_.schedules.paper import *

model.neck = None
model.heads.merge(
    dict(
        mir=None,
        itm=None,
        mlm=None,
        main_category=dict(type=CategoryHead, num_classes='data'),
        sub_category=dict(type=CategoryHead, num_classes='data'),
    )
)
load_from = 'work_dirs/pretrain_fashiongen/epoch_150.pth'
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
        pipeline=pipeline,
    ),
)
