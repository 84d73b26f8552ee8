"""The demo's MIG.

Command: tools/test.py configs/demo/generation_demo.py CHECKPOINT
"""

from mmengine.config import read_base

from mvlt.datasets import RandomGridMask

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.generation import *

test_dataloader.dataset.pipeline.mask = dict(type=RandomGridMask, ratio=0.5, alpha=2)
