"""TIR and ITR on the demo's products, full protocol: 3,780 images x their captions.

Command: tools/test.py configs/demo/retrieval_full_demo.py CHECKPOINT --rerank-topk 50
Hardware: two CPU cores. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.full_ranking import *
