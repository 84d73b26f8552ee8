"""MIG on Fashion-Gen: reconstruct half-masked images (Fig. 7; the paper has no figures).

Command: tools/dist_test.sh configs/mvlt/generation_fashiongen.py CHECKPOINT 8
Hardware: 8 GPUs. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import RandomGridMask

with read_base():
    from .._base_.datasets.fashiongen import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.generation import *

test_dataloader.dataset.pipeline.mask = dict(type=RandomGridMask, ratio=0.5, alpha=4)
