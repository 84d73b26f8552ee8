"""The demo's TIR and ITR on products unseen in training, 101 protocol.

Command: tools/test.py configs/demo/retrieval_demo.py CHECKPOINT
Hardware: two CPU cores. Time: not measured. R@1 of shop_demo.py by embeddings: TIR 89.0, ITR 91.3
(docs/results/2026-11-30-a-start-that-has-seen-images.md).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.retrieval import *

test_cfg.num_queries = 300
