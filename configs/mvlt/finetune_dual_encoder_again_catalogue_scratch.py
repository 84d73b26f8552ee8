"""A second warm restart, from the checkpoint of finetune_dual_encoder_catalogue_scratch.py.

Command: tools/train.py configs/mvlt/finetune_dual_encoder_again_catalogue_scratch.py
    --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: 47 minutes of one thread. R@1 of 101: TIR 45.1, ITR 47.3, two seeds
(docs/results/2026-11-28-third-round.md).
"""

from mmengine.config import read_base

with read_base():
    from .finetune_dual_encoder_catalogue_scratch import *

load_from = 'work_dirs/finetune_dual_encoder_catalogue_scratch/iter_4200.pth'
train_cfg.max_iters = 2800
