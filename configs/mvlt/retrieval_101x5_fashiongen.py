"""TIR and ITR on Fashion-Gen, 101 candidates drawn five times (FashionViL): mean and SD.

Command: tools/dist_test.sh configs/mvlt/retrieval_101x5_fashiongen.py CHECKPOINT 8
Hardware: 8 GPUs. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .retrieval_fashiongen import *

test_cfg.draws = 5
