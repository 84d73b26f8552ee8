"""Contract: ties count against the model; recall counts queries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvlt.evaluation.functional import pessimistic_rank, recall_at_k


@pytest.mark.parametrize(
    ('scores', 'positives', 'rank'),
    [
        ([0.9, 0.5, 0.1], [1, 0, 0], 1),
        ([0.5, 0.9, 0.1], [1, 0, 0], 2),
        ([0.5, 0.5, 0.5], [1, 0, 0], 3),  # all equal: nothing was found
        ([0.9, 0.9, 0.1], [1, 0, 0], 2),
        ([0.1, 0.7, 0.9, 0.3], [1, 1, 0, 0], 2),  # the best of two positives
        ([0.9, 0.9, 0.1], [1, 1, 0], 1),  # a tie between positives costs nothing
        ([0.3], [1], 1),
    ],
)
def test_rank_by_hand(scores, positives, rank):
    assert pessimistic_rank(np.array(scores), np.array(positives)) == rank


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5]), st.booleans()), min_size=1, max_size=20)
)
def test_rank_against_a_naive_twin(pairs):
    if not any(positive for _, positive in pairs):
        return
    # sort so that a negative stands before a positive of the same score
    order = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))
    negatives_before = 0
    for _, positive in order:
        if positive:
            break
        negatives_before += 1
    scores, positives = np.array(pairs).T
    assert pessimistic_rank(scores, positives.astype(bool)) == negatives_before + 1


def test_recall_by_hand():
    ranks = [1, 3, 12, 5]
    assert [recall_at_k(ranks, k) for k in (1, 5, 10, 12)] == [25.0, 75.0, 75.0, 100.0]


def test_wrong_scores():
    with pytest.raises(ValueError, match='no rank'):
        pessimistic_rank(np.array([0.1, 0.2]), np.array([0, 0]))
    with pytest.raises(ValueError, match='diverged'):
        pessimistic_rank(np.array([np.nan, 0.2]), np.array([1, 0]))
