"""MIG on one's own catalogue: rebuild half-masked images.

Command: tools/test.py configs/mvlt/generation_catalogue.py CHECKPOINT --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.datasets import RandomGridMask

with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.generation import *

test_dataloader.dataset.pipeline.mask = dict(type=RandomGridMask, ratio=0.5, alpha=2)
