"""Towers a third time, from where finetune_dual_encoder_catalogue.py has ended.

Command: tools/train.py configs/mvlt/finetune_dual_encoder_again_catalogue.py --data-root
    MY_CATALOGUE
Hardware: two CPU cores. Time and metric: docs/results/.
"""

from mmengine.config import read_base

with read_base():
    from .finetune_dual_encoder_catalogue import *

load_from = 'work_dirs/finetune_dual_encoder_catalogue/iter_4200.pth'
train_cfg.max_iters = 2800
