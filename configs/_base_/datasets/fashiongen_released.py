"""Fashion-Gen as the released code shows it: pictures cropped to the product, then resized."""

from mmengine.config import read_base

from mvlt.datasets import CropToProduct

with read_base():
    from .fashiongen import *

to_pixels = [to_pixels[0], dict(type=CropToProduct), to_pixels[1]]
