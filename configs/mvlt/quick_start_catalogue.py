"""Quick start: search on a catalogue in eight minutes, features included.

Fewer steps than dual_encoder_catalogue.py, on one view of each image, without prompts.
Command: tools/train.py configs/mvlt/quick_start_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: 8.00 CPU minutes of one thread. R@1 of 101: TIR 58.6, ITR 58.2,
two seeds (docs/results/2026-11-30-a-start-that-has-seen-images.md)
"""

from mmengine.config import read_base

with read_base():
    from .dual_encoder_catalogue import *

train_cfg.max_iters = 400
train_cfg.val_interval = 400
default_hooks.logger.interval = 20  # first log line within half a minute
default_hooks.features.views = 1
default_hooks.average.momentum = 0.005
default_hooks.prompts = None
model.heads.prompts = None
