"""Towers in a few minutes: a first look at what search makes of a catalogue of one's own.

A tenth of the steps of dual_encoder_catalogue.py, without its moving average and its mixed
pictures, which need more of them.
Command: tools/train.py configs/mvlt/quick_start_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time and metric: docs/results/.
"""

from mmengine.config import read_base

with read_base():
    from .dual_encoder_catalogue import *

train_cfg.max_iters = 560
train_cfg.val_interval = 560
default_hooks.logger.interval = 20  # a sign of life within half a minute
default_hooks.average = None
model.data_preprocessor.mixup = 0.0
