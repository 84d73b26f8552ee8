"""One model for a shop: search, matching, MLM, inpainting, categories and attributes.

Joint layers read the four stages of a frozen EfficientNet-Lite0 (ImageNet weights) with the tokens.
The contrast of images and captions learns at every step. Heads that encode image and text together
cost several times as much: matching with hard negatives learns at every second step, MLM, MIR and
the categories from image and title at every fourth. main_category_by_image and
sub_category_by_image read the image alone; so do all attributes.
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
model.heads.itc.dims = None  # matching reads the product of these embeddings
model.heads.itm.merge(dict(interval=2, warmup_steps=300))
train_cfg.max_iters = 2400
train_cfg.val_interval = 1200
