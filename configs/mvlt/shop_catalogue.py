"""One model for a shop: search, matching, MLM, inpainting, categories and attributes.

Joint layers read the four stages of a frozen EfficientNet-Lite0 (ImageNet weights) with the tokens.
The contrast of images and captions learns at every step. Heads that encode image and text together
learn at every fourth: matching with hard negatives, MLM, MIR, and the categories from image and
title. main_category_by_image and sub_category_by_image read the image alone; so do all attributes.
Command: tools/train.py configs/mvlt/shop_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.models.lite0 import *
    from .shop_catalogue_scratch import *

image_size = 128
model.data_preprocessor = lite0_preprocessor
model.backbone = dict(lite0_joint, vocab_size=vocab_size)
model.heads.itc.dims = 256
