"""The demo's pre-training with stripes as masks.

Command: tools/train.py projects/example_mask/pretrain_stripes.py
Hardware: one CPU core. Time and metric: not measured.
"""

from mmengine.config import read_base

from projects.example_mask.stripe_mask import StripeMask

with read_base():
    from ...configs.demo.pretrain_demo import *

train_dataloader.dataset.dataset.pipeline.mask.type = StripeMask
