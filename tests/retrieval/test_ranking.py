"""Contract: one ranking, as a naive twin orders; ties count against the model."""

import numpy as np
import pytest

from mvlt.retrieval.ranking import rank, shortlisted, top

LIKENESS = np.array([0.5, 3.0, -1.0, 3.0, -np.inf])
LOG_ODDS = np.array([2.0, -1.0, 4.0, 0.0, 9.0], np.float32)


def _rank(order, shortlist=None, allowed=None):
    chosen = shortlisted(np.ones(5, bool) if allowed is None else allowed, LIKENESS, shortlist)
    return rank(chosen, 5, lambda some: LOG_ODDS[some], LIKENESS, order)


@pytest.mark.parametrize(
    ('order', 'shortlist', 'expected'),
    [
        ('matching', None, [4, 2, 0, 3, 1]),
        ('vectors', None, [1, 3, 0, 2]),  # the first of two equal ones; nothing is like 4
        ('both', None, [2, 3, 0, 1]),  # 3.0, 3.0, 2.5, 2.0
        ('both', 2, [3, 1]),
        ('matching', 3, [0, 3, 1]),
    ],
)
def test_orders(order, shortlist, expected):
    found = _rank(order, shortlist)
    assert found.first(5).tolist() == expected
    assert found.first(2).tolist() == expected[:2]


def test_ties_and_unlisted_positives_count_against_the_model():
    positives = np.array([False, False, False, True, False])
    assert _rank('vectors').rank_of(positives) == 2  # 1 is as good
    unlisted = np.array([True, False, False, False, False])
    assert _rank('both', 2).rank_of(unlisted) == 5  # behind all four others


def test_what_may_not_be_found_is_not():
    allowed = np.array([True, False, True, False, False])
    found = _rank('both', 2, allowed)
    assert found.first(5).tolist() == [2, 0]
    assert np.isnan(found.log_odds[[1, 3, 4]]).all()
    assert _rank('matching', None, np.zeros(5, bool)).first(3).tolist() == []


def test_the_matching_head_is_asked_for_the_shortlist_only():
    asked = []
    rank(np.array([1, 3]), 5, lambda some: asked.extend(some) or LOG_ODDS[some], LIKENESS, 'both')
    rank(np.array([1, 3]), 5, None, LIKENESS, 'vectors')
    assert asked == [1, 3]


@pytest.mark.parametrize('count', [1, 2, 3, 4, 9])
def test_top_is_that_of_a_stable_sort(count):
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.integers(0, 4, 6).astype(float)
        expected = np.sort(np.argsort(-values, kind='stable')[:count])
        assert top(values, count).tolist() == expected.tolist()


def test_unknown_orders():
    with pytest.raises(ValueError, match="order='paper'; legal here: both, matching, vectors"):
        _rank('paper')
    with pytest.raises(ValueError, match="order='both'; legal here: matching .*heads.mlm"):
        rank(np.arange(2), 2, lambda some: LOG_ODDS[some], None, 'both')
