"""MIG on the demo's products.

Command: tools/test.py configs/demo/generation_demo.py CHECKPOINT
Hardware: two CPU cores. Time: not measured. PSNR of masked pixels 15.1 dB
(docs/results/2026-11-28-demo.md).
"""

from mmengine.config import read_base

from mvlt.datasets import RandomGridMask

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.generation import *

test_dataloader.dataset.pipeline.mask = dict(type=RandomGridMask, ratio=0.5, alpha=2)
