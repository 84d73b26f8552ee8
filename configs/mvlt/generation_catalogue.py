"""MIG on a catalogue: reconstruct half-masked images.

Command: tools/test.py configs/mvlt/generation_catalogue.py CHECKPOINT --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: seconds. PSNR 21.2 dB, of masked pixels 19.1 dB
(pretrain_catalogue.py, docs/results/2026-11-23-products.md).
"""

from mmengine.config import read_base

from mvlt.datasets import RandomGridMask

with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.generation import *

test_dataloader.dataset.pipeline.mask = dict(type=RandomGridMask, ratio=0.5, alpha=2)
