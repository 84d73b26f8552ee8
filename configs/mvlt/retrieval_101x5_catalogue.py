"""TIR and ITR on one's own catalogue, 101 candidates drawn five times (FashionViL): mean and SD.

Command: tools/test.py configs/mvlt/retrieval_101x5_catalogue.py CHECKPOINT --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from .retrieval_catalogue import *

test_cfg.draws = 5
