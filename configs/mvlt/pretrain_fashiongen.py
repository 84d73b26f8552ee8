"""Pre-training on Fashion-Gen: the paper's recipe (Sec. 3.2, 4.1; Eq. 8).

Image and caption are masked together; the three losses share one pass. The image part starts from
an ImageNet PVT-Tiny (Table 4): convert it with tools/model_converters/to_mvlt.py pvt, or start at
random with --cfg-options model.backbone.init_cfg=None.
1 % of the training products are held out for validation; neither paper nor released code has a
validation split. To train on all products: --cfg-options val_cfg=None
train_dataloader.dataset.dataset.split=all
Command: tools/dist_train.sh configs/mvlt/pretrain_fashiongen.py 8
Hardware: 8 GPUs (the paper: 8 V100), batch 8 x 150. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import EpochSampler, MaskWords, MatchingPairs, RandomGridMask
from mvlt.engine import PicturesHook
from mvlt.checkpoints import PretrainedImagePart

with read_base():
    from .._base_.datasets.fashiongen import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.pretraining import *
    from .._base_.evaluations.validation import *
    from .._base_.models.mvlt_tiny import *
    from .._base_.schedules.paper import *

model.backbone.init_cfg = dict(
    type=PretrainedImagePart, checkpoint='checkpoints/pvt_tiny.safetensors'
)
train_dataloader = dict(
    batch_size=150,
    num_workers=8,
    pin_memory=True,
    persistent_workers=True,
    sampler=dict(type=EpochSampler, shuffle=True),
    dataset=dict(
        type=MatchingPairs,
        negative_prob=0.5,
        dataset=dict(
            train_set,
            pipeline=dict(
                pipeline,
                mask=dict(type=RandomGridMask, ratio=0.5, alpha=4),
                words=dict(type=MaskWords, ratio=0.15, **tokenizer),
            ),
        ),
    ),
)
test_dataloader.dataset.pipeline.merge(
    dict(
        mask=dict(type=RandomGridMask, ratio=0.5, alpha=4),
        words=dict(type=MaskWords, ratio=0.15, **tokenizer),
    )
)
sync_bn = 'torch'  # of the neck, over all GPUs
default_hooks.pictures = dict(type=PicturesHook, interval=5000)
val_dataloader = val_loader
