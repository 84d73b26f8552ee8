"""TIR and ITR on Fashion-Gen: fine-tuned for matching end to end, then ranked (Sec. 4.1, ii).

Sec. 4.1 fine-tunes "each downstream application" with the settings of pre-training; Sec. 3.3 ranks
"without further fine-tuning". Table 2 is the latter: retrieval_fashiongen.py. Here ITM alone
continues, nothing is masked; 30 epochs are the released code's for recognition.
Command: tools/dist_train.sh configs/mvlt/finetune_fashiongen.py 8, then tools/dist_test.sh
Hardware: 8 GPUs, batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import EpochSampler, MatchingPairs

with read_base():
    from .._base_.evaluations.validation import *
    from .._base_.models.mvlt_tiny import *
    from .._base_.schedules.paper import *
    from .retrieval_fashiongen import *

model.neck = None
model.heads.mir = None
model.heads.mlm = None
load_from = 'work_dirs/pretrain_fashiongen/epoch_150.pth'
train_cfg.max_epochs = 30
train_dataloader = dict(
    batch_size=150,
    num_workers=8,
    pin_memory=True,
    persistent_workers=True,
    sampler=dict(type=EpochSampler, shuffle=True),
    dataset=dict(
        type=MatchingPairs,
        negative_prob=0.5,
        dataset=dict(train_set, pipeline=pipeline),
    ),
)
val_dataloader = val_loader
