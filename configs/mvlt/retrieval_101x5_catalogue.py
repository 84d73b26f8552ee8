"""TIR and ITR on a catalogue, 101 candidates drawn five times (FashionViL): mean and SD.

Command: tools/test.py configs/mvlt/retrieval_101x5_catalogue.py CHECKPOINT --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: 2.6 minutes. R@1 TIR 1.9, ITR 2.7, pretrain_catalogue.py after 2,400
steps (docs/results/2026-11-24-protocols.md).
"""

from mmengine.config import read_base

with read_base():
    from .retrieval_catalogue import *

test_cfg.draws = 5
