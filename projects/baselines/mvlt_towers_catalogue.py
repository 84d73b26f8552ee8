"""This project's towers under the baselines' budget.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from mvlt.configs.mvlt.towers_catalogue import *

default_hooks.checkpoint.save_best = None
# over 500 steps: more than a budget of minutes has
default_hooks.average = None
val_dataloader = None
val_cfg = None
val_evaluator = None
