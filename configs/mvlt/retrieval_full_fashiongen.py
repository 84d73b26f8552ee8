"""TIR and ITR on Fashion-Gen, full protocol: 32,528 pictures x 7,519 products' captions, zero-shot.

Command: tools/dist_test.sh configs/mvlt/retrieval_full_fashiongen.py CHECKPOINT 8 [--rerank-topk K]
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.fashiongen import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.full_ranking import *
