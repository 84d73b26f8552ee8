"""Contract: ties count against the model; recall counts queries."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.retrieval import retrieval_hit_rate, retrieval_reciprocal_rank

from mvlt.evaluation.functional import (
    fill_bilinear,
    fill_mean,
    pessimistic_rank,
    rank_statistics,
    recall_at_k,
)


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


def test_statistics_by_hand():
    statistics = rank_statistics([1, 3, 12], topk=(1, 5))
    assert statistics['R@1'] == pytest.approx(100 / 3)
    assert statistics['R@5'] == pytest.approx(200 / 3)
    assert statistics['SumR'] == pytest.approx(100)
    assert (statistics['median_rank'], statistics['mean_rank']) == (3, pytest.approx(16 / 3))
    assert statistics['MRR'] == pytest.approx(100 * (1 + 1 / 3 + 1 / 12) / 3)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=15))
def test_statistics_are_those_of_torchmetrics(ranks):
    """One positive at its rank among 30: torchmetrics' hit rate and reciprocal rank."""
    scores = torch.arange(30, 0, -1.0)
    hits, reciprocal = [], []
    for rank in ranks:
        target = torch.arange(1, 31) == rank
        hits.append(float(retrieval_hit_rate(scores, target, top_k=5)))
        reciprocal.append(float(retrieval_reciprocal_rank(scores, target)))
    statistics = rank_statistics(ranks)
    assert statistics['R@5'] == pytest.approx(100 * np.mean(hits))
    assert statistics['MRR'] == pytest.approx(100 * np.mean(reciprocal))


def test_infinitely_bad_scores_rank_last():
    scores = np.array([-np.inf, 0.2, -np.inf])
    assert pessimistic_rank(scores, np.array([1, 0, 0])) == 3


def test_mean_fill_by_hand():
    image = torch.tensor([[[1.0, 3.0], [9.0, 2.0]]])
    mask = torch.tensor([[False, False], [True, False]])
    assert fill_mean(image, mask).tolist() == [[[1.0, 3.0], [2.0, 2.0]]]


def test_bilinear_fill_keeps_what_is_visible_and_goes_between():
    image = torch.rand(3, 12, 20)
    mask = torch.zeros(12, 20, dtype=torch.bool)
    assert torch.equal(fill_bilinear(image, mask), image)
    mask[3:7, 5:11] = True
    filled = fill_bilinear(image.masked_fill(mask, 99.0), mask)
    assert torch.equal(filled[:, ~mask], image[:, ~mask])
    assert filled[:, mask].min() >= 0 and filled[:, mask].max() <= 1
    constant = fill_bilinear(torch.full((3, 7, 5), 0.3).masked_fill(mask[:7, :5], 0), mask[:7, :5])
    assert torch.allclose(constant, torch.tensor(0.3))


def test_bilinear_fill_follows_a_slope_better_than_the_mean():
    slope = torch.linspace(0, 1, 32).expand(1, 32, 32)
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[8:16, 20:28] = True
    errors = [(fill(slope, mask) - slope).abs().mean() for fill in (fill_bilinear, fill_mean)]
    assert errors[0] < errors[1] / 5
