"""Contract: rankings by hand; ties count against the model."""

import numpy as np
import pytest

from mvlt.retrieval.ranking import rank, rerank_candidates, top

SIMILARITY = np.array([0.5, 3.0, -1.0, 3.0, -np.inf])
ITM_LOGITS = np.array([2.0, -1.0, 4.0, 0.0, 9.0], np.float32)


def _rank(rerank, rerank_topk=None, allowed=None, logit_scale=1.0):
    allowed = np.ones(5, bool) if allowed is None else allowed
    candidates = rerank_candidates(allowed, SIMILARITY, rerank_topk)
    return rank(candidates, 5, lambda i: ITM_LOGITS[i], SIMILARITY, rerank, logit_scale)


@pytest.mark.parametrize(
    ('rerank', 'rerank_topk', 'expected'),
    [
        ('itm', None, [4, 2, 0, 3, 1]),
        (None, None, [1, 3, 0, 2]),  # of equal scores the first; 4 has none
        ('sum', None, [2, 3, 0, 1]),  # 3.0, 3.0, 2.5, 2.0
        ('sum', 2, [3, 1]),
        ('itm', 3, [0, 3, 1]),
    ],
)
def test_the_order_of_candidates(rerank, rerank_topk, expected):
    ranking = _rank(rerank, rerank_topk)
    assert ranking.first(5).tolist() == expected
    assert ranking.first(2).tolist() == expected[:2]


def test_the_sum_takes_similarity_times_the_logit_scale():
    assert _rank('sum', logit_scale=10.0).first(5).tolist() == [3, 1, 0, 2]  # 30, 29, 7, -6


def test_ties_and_unlisted_positives_count_against_the_model():
    positives = np.array([False, False, False, True, False])
    assert _rank(None).rank_of(positives) == 2  # 1 has the same score
    unlisted = np.array([True, False, False, False, False])
    assert _rank('sum', 2).rank_of(unlisted) == 5  # last of five


def test_only_allowed_candidates_appear():
    allowed = np.array([True, False, True, False, False])
    ranking = _rank('sum', 2, allowed)
    assert ranking.first(5).tolist() == [2, 0]
    assert np.isnan(ranking.itm_logits[[1, 3, 4]]).all()
    assert _rank('itm', None, np.zeros(5, bool)).first(3).tolist() == []


def test_the_matching_head_reads_the_candidates_only():
    read = []
    chosen = np.array([1, 3])
    rank(chosen, 5, lambda i: read.extend(i) or ITM_LOGITS[i], SIMILARITY, 'sum')
    rank(chosen, 5, None, SIMILARITY, None)
    assert read == [1, 3]


@pytest.mark.parametrize('count', [1, 2, 3, 4, 9])
def test_top_is_that_of_a_stable_sort(count):
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.integers(0, 4, 6).astype(float)
        expected = np.sort(np.argsort(-values, kind='stable')[:count])
        assert top(values, count).tolist() == expected.tolist()


def test_unknown_values():
    with pytest.raises(ValueError, match="rerank='paper'; legal here: None, 'itm', 'sum'"):
        _rank('paper')
    with pytest.raises(ValueError, match="rerank='sum'; legal here: 'itm' .*embeddings"):
        rank(np.arange(2), 2, lambda i: ITM_LOGITS[i], None, 'sum')
