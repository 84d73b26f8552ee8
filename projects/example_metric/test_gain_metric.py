"""Contract: a metric from outside evaluates a loop's rankings."""

import numpy as np
import pytest

from mvlt.config import load_config
from mvlt.registry import METRICS
from projects.example_metric.gain_metric import discounted_gain


def test_by_hand():
    assert discounted_gain([1]) == 1
    assert discounted_gain([1, 3]) == pytest.approx((1 + 0.5) / 2)


def test_the_config_counts_with_it():
    config = load_config('projects/example_metric/retrieval_gain.py')
    metric = METRICS.build(config.test_evaluator[1])
    metric.process(None, [dict(direction='tir', rank=1), dict(direction='itr', rank=3)])
    assert metric.evaluate(2) == {'gain/itr': 0.5, 'gain/tir': 1.0}
    assert np.isclose(metric.compute_metrics([('tir', 7)])['tir'], 1 / 3)
