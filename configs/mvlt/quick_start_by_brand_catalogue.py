"""Quick start for brands that training has not seen, with brands held out.

Validation and test rank held-out brands. It adds cropped views, and drops the brand from half of
the captions. Any recipe holds out brands with --cfg-options split_by=brand. Test with
retrieval_by_brand_catalogue.py.
Command: tools/train.py configs/mvlt/quick_start_by_brand_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time and metrics: docs/results/2026-11-30-a-start-that-has-seen-images.md.
"""

from mmengine.config import read_base

with read_base():
    from .quick_start_catalogue import *

split_by = 'brand'
train_dataloader.dataset.brand = 'guess'
train_dataloader.dataset.pipeline.augment_caption.drop_brand = 0.5
default_hooks.features.views = 4
