"""Pre-training on held-out pairs: reconstructed images and masked tokens."""

from mmengine.runner import TestLoop

from mvlt.evaluation import MLMMetric, ReconstructionMetric

test_cfg = dict(type=TestLoop)
test_evaluator = [dict(type=ReconstructionMetric), dict(type=MLMMetric)]
