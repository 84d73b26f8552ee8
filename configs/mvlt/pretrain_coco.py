"""Pre-training on MS-COCO alone, ranked by ITM: the paper's row of Table 6.

Sec. 4.4: "the same training standards as in [37]" (ViLT), "without extra training data and special
retrieval losses". So this recipe trains the three objectives of Sec. 3.2 on COCO's training pairs
with ViLT's augmentation, optimizer and schedule; the image part starts from ImageNet, as in
Sec. 4.1. The paper does not state the epochs; ViLT fine-tunes for 10. retrieval_full_coco.py
measures the paper's metric, R@1 TIR 49.66 and ITR 65.38.
Command: tools/dist_train.sh configs/mvlt/pretrain_coco.py 8
Hardware: 8 GPUs, batch 8 x 32. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import EpochSampler, MaskWords, MatchingPairs, RandomGridMask
from mvlt.checkpoints import PretrainedImagePart

with read_base():
    from .._base_.datasets.coco import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.pretraining import *
    from .._base_.evaluations.validation import *
    from .._base_.models.mvlt_tiny import *
    from .._base_.schedules.vilt import *

model.backbone.init_cfg = dict(
    type=PretrainedImagePart, checkpoint='checkpoints/pvt_tiny.safetensors'
)
train_dataloader = dict(
    batch_size=32,
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
                augment=augment,
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
val_dataloader = val_loader
