"""MIG: reconstruct a masked image (Sec. 3.3, Task 4)."""

from mmengine.runner import TestLoop

from mvlt.evaluation import ReconstructionMetric

test_heads = ('mir',)  # the heads that a protocol tests
test_cfg = dict(type=TestLoop)
test_evaluator = dict(type=ReconstructionMetric)
