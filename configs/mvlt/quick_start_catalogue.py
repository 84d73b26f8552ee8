"""Quick start: search on a catalogue in six minutes, features included.

Fewer steps and views than dual_encoder_catalogue.py, smaller images, no moving average.
Command: tools/train.py configs/mvlt/quick_start_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .dual_encoder_catalogue import *

image_size = 160
train_cfg.max_iters = 400
train_cfg.val_interval = 400
default_hooks.logger.interval = 20  # first log line within half a minute
default_hooks.features.views = 2
default_hooks.average = None
