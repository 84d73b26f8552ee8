"""TIR and ITR on Fashion-Gen, zero-shot after pre-training (Table 2: R@1 34.60 and 33.10).

Command: tools/dist_test.sh configs/mvlt/retrieval_fashiongen.py CHECKPOINT 8
Hardware: 8 GPUs. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.fashiongen import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.retrieval import *
