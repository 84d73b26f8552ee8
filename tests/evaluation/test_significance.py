"""Contract: intervals and p-values of differences between two models on the same queries."""

import numpy as np
import pytest

from mvlt.evaluation.significance import mcnemar, paired_bootstrap


def test_mcnemar_by_hand():
    """9 queries are right only in the first, 1 only in the second: 2 (1 + 10) / 1024."""
    first = np.array([True] * 9 + [False] + [True] * 20 + [False] * 7)
    second = np.array([False] * 9 + [True] + [True] * 20 + [False] * 7)
    assert mcnemar(first, second) == pytest.approx(22 / 1024)
    assert mcnemar(second, first) == pytest.approx(22 / 1024)


def test_equal_models_do_not_differ():
    hits = np.array([True, False, True])
    assert mcnemar(hits, hits) == 1
    interval = paired_bootstrap(hits, hits)
    assert interval == (0, 0, 0) and not interval.significant


def test_interval_of_a_mean_equals_the_formula():
    """For many queries: difference ± 1.96 standard errors of the paired differences."""
    rng = np.random.default_rng(0)
    first, second = rng.random(1000) < 0.6, rng.random(1000) < 0.5
    interval = paired_bootstrap(first, second, resamples=4000)
    gap = first.astype(float) - second
    error = 1.96 * gap.std() / 1000**0.5
    assert interval.value == pytest.approx(gap.mean())
    assert interval.low == pytest.approx(gap.mean() - error, abs=0.005)
    assert interval.high == pytest.approx(gap.mean() + error, abs=0.005)
    assert interval.significant


def test_pairing_matters():
    """Both use the same resamples: queries that both miss do not widen the interval."""
    hard = np.arange(400) % 2 == 0
    first, second = hard.copy(), hard.copy()
    first[1] = True
    interval = paired_bootstrap(first, second)
    assert interval.value == pytest.approx(1 / 400) and interval.low >= 0 and interval.high < 0.01


def test_groups_widen_the_interval():
    """Four copies of each query, resampled together, give the same interval."""
    rng = np.random.default_rng(0)
    first, second = rng.random(200) < 0.6, rng.random(200) < 0.5
    once = paired_bootstrap(first, second)
    four, other = np.repeat(first, 4), np.repeat(second, 4)
    together = paired_bootstrap(four, other, groups=np.repeat(np.arange(200), 4))
    assert together == pytest.approx(once)
    apart = paired_bootstrap(four, other)
    assert apart.high - apart.low < 0.6 * (once.high - once.low)


def test_one_query_and_unequal_ones():
    assert paired_bootstrap(np.array([1.0]), np.array([0.0])) == (1, 1, 1)
    with pytest.raises(ValueError, match='2 and 3 queries'):
        paired_bootstrap(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match='0 and 0'):
        paired_bootstrap(np.zeros(0), np.zeros(0))
