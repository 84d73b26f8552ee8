"""Towers a third time, from where towers_second_round_catalogue.py has ended.

Command: tools/train.py configs/mvlt/towers_third_round_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time and metric: docs/results/.
"""

from mmengine.config import read_base

with read_base():
    from .towers_second_round_catalogue import *

load_from = 'work_dirs/towers_second_round_catalogue/iter_4200.pth'
train_cfg.max_iters = 2800
