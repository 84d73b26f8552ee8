"""What pre-training has learnt, on held-out pairs: rebuilt images and hidden words."""

from mmengine.runner import TestLoop

from mvlt.evaluation import MLMMetric, ReconstructionMetric

test_cfg = dict(type=TestLoop)
test_evaluator = [dict(type=ReconstructionMetric), dict(type=MLMMetric)]
