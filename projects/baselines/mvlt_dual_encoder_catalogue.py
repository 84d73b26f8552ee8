"""This project's dual encoder under the baselines' budget.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from mvlt.configs.mvlt.dual_encoder_catalogue import *

default_hooks.checkpoint.save_best = None
# as in quick_start_catalogue.py: both need more steps than minutes allow
default_hooks.average = None
model.data_preprocessor.mixup = 0.0
val_dataloader = None
val_cfg = None
val_evaluator = None
