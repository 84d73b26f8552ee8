"""The demo's TIR and ITR on products that training has not seen, 101 protocol.

Command: tools/test.py configs/demo/retrieval_demo.py CHECKPOINT
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.retrieval import *

test_cfg.num_queries = 300
