"""Dual encoder on a catalogue, from ImageNet weights: search without a GPU in half an hour.

dual_encoder_catalogue_scratch.py with a frozen EfficientNet-Lite0 as the image encoder. Its
features of augmented images are computed once (work_dirs/features, reused by later trainings), so
that a step costs little. A small text encoder learns from scratch. In half of the steps features
are mixed (mixup). Tests use the moving average of the weights.
Command: tools/train.py configs/mvlt/dual_encoder_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: 29.1 CPU minutes of one thread, beside other programs. R@1 of 101:
TIR 59.8, ITR 61.4, one seed (docs/results/2026-11-30-a-start-that-has-seen-images.md)
"""

from mmengine.config import read_base

from mvlt.datasets import LoadImage
from mvlt.engine import FrozenFeaturesHook

with read_base():
    from .._base_.models.lite0 import *
    from .dual_encoder_catalogue_scratch import *

image_size = 224
model.data_preprocessor = dict(lite0_preprocessor, mixup=0.5)
model.backbone = dict(lite0_dual, vocab_size=vocab_size)
model.heads.itc.dims = 256
model.heads.labels.hidden_dims = 256
default_hooks.features = dict(type=FrozenFeaturesHook, views=4)
# whole images in tests, and one filter everywhere: the frozen network sees other pixels otherwise
test_dataloader.dataset.pipeline.load = dict(type=LoadImage)
test_dataloader.dataset.pipeline.crop = None
test_dataloader.dataset.pipeline.resize.interpolation = 'bicubic'
val_dataloader.dataset.pipeline.load = dict(type=LoadImage)
val_dataloader.dataset.pipeline.crop = None
val_dataloader.dataset.pipeline.resize.interpolation = 'bicubic'
train_dataloader.batch_size = 256
train_dataloader.dataset.pipeline.load = dict(type=LoadImage)
train_dataloader.dataset.pipeline.crop.merge(
    dict(crop_ratio_range=(0.5, 1.0), backend='pillow', interpolation='bicubic')
)
train_dataloader.dataset.pipeline.resize.interpolation = 'bicubic'
train_cfg.max_iters = 1500
train_cfg.val_interval = 750
default_hooks.checkpoint.interval = 250
