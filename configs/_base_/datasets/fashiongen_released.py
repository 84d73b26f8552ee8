"""Fashion-Gen as in the released code: images cropped to the product, then resized."""

from mmengine.config import read_base

from mvlt.datasets import CropToForeground

with read_base():
    from .fashiongen import *

pipeline.crop = dict(type=CropToForeground)
test_dataloader.dataset.pipeline.crop = dict(type=CropToForeground)
val_loader.dataset.pipeline.crop = dict(type=CropToForeground)
