"""TIR and ITR on Fashion-Gen, full protocol: 32,528 images x 7,519 captions, zero-shot.

Command: tools/dist_test.sh configs/mvlt/retrieval_full_fashiongen.py CHECKPOINT 8 [--rerank-topk K]
Hardware: 8 GPUs. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.fashiongen import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.full_ranking import *
