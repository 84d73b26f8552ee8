"""Fashion-Gen as in the released code: images cropped to the product, then resized."""

from mmengine.config import read_base

from mvlt.datasets import CropToProduct

with read_base():
    from .fashiongen import *

pipeline.crop = dict(type=CropToProduct)
test_dataloader.dataset.pipeline.crop = dict(type=CropToProduct)
val_loader.dataset.pipeline.crop = dict(type=CropToProduct)
