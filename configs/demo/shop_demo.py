"""The model of make demo on drawn products: search, categories, matching and inpainting.

A small mvlt/shop_catalogue.py on a frozen network with ImageNet weights. The dual-encoder contrast,
which search uses, and the categories, which read the image alone, learn at every step. Matching,
MLM and MIR encode image and text together and cost several times as much, so they learn at every
second step. pretrain_demo.py trains the paper's objectives on the same products, from scratch.

Command: make demo (or tools/train.py configs/demo/shop_demo.py once its data exist)
Hardware: two CPU cores. Time: 9.1 CPU minutes of one thread. R@1 TIR 89.0, ITR 91.3, two seeds
(docs/results/2026-11-30-a-start-that-has-seen-images.md).
"""

from mmengine.config import read_base

from mvlt.engine import BFloat16OptimWrapper

with read_base():
    from .._base_.models.lite0 import *
    from .shop_demo_scratch import *

image_size = 96
model.data_preprocessor = lite0_preprocessor
model.backbone = dict(lite0_joint, vocab_size=vocab_size)
model.heads.itc.dims = None  # matching reads the product of these embeddings
model.heads.itm.warmup_steps = 150
optim_wrapper.type = BFloat16OptimWrapper
train_cfg.max_iters = 500
train_cfg.val_interval = 250
default_hooks.pictures.interval = 250
