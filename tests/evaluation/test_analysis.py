"""Contract: each figure of the analysis against a hand case, and against scipy or sampling."""

import numpy as np
import pytest
from scipy.stats import skew

from mvlt.engine.loops.ranking import with_typo
from mvlt.evaluation.analysis import analyse, expected_recall, hubness, ndcg
from mvlt.evaluation.functional import average_precision

RECORDS = [
    dict(product_id='a', caption='Red  shoe', sub_category=0, colour=0),
    dict(product_id='b', caption='blue shoe', sub_category=0, colour=1),
    dict(product_id='c', caption='red bag', sub_category=1, colour=0),
    dict(product_id='d', caption='bag', sub_category=1, colour=-1),
]


def _result(query, candidates, scores, rank):
    return dict(
        direction='tir',
        query=query,
        rank=rank,
        average_precision=1 / rank,
        right=[query],
        relevant=1,
        num_candidates=4,
        candidates=candidates,
        scores=scores,
        positives=[row == query for row in candidates],
    )


def test_a_hand_case():
    results = [
        _result(0, [0, 1, 2, 3], [0.9, 0.5, 0.1, 0.0], 1),
        _result(1, [0, 1, 2, 3], [0.7, 0.7, 0.1, 0.0], 2),  # a tie counts against the right one
        _result(3, [3, 0, 1, 2], [0.2, 0.9, 0.8, 0.1], 3),
    ]
    metrics = analyse(results, RECORDS, {}, ['sub_category', 'colour'], ['red shoe!', 'RED SHOE'])
    assert metrics['tir/new/queries'] == 2  # the key of a caption has no case and one space
    assert metrics['tir/new/R@1'] == 0 and metrics['tir/new/R@5'] == 100
    assert metrics['tir/MAP'] == pytest.approx(100 * (1 + 1 / 2 + 1 / 3) / 3)
    # first candidates: itself; a shoe of another colour; a shoe for a bag
    assert metrics['tir/fine_R@1'] == pytest.approx(100 / 3)
    assert metrics['tir/coarse_R@1'] == pytest.approx(200 / 3)
    # gains by rank. 0: 1, 1/2, 1/2, 0 is ideal. 1: 1/2, 1, 0, 0. 3 (no colour): 0, 0, 1, 1/2
    discount = 1 / np.log2([2, 3, 4, 5])
    second = (discount @ [0.5, 1, 0, 0]) / (discount @ [1, 0.5, 0, 0])
    third = (discount @ [0, 0, 1, 0.5]) / (discount @ [1, 0.5, 0, 0])
    assert metrics['tir/NDCG@10'] == pytest.approx(100 * (1 + second + third) / 3)
    assert 'tir/hubness' not in metrics
    assert metrics['tir/R@1_low'] == 0 and metrics['tir/R@1_high'] == 100
    assert 'tir/new/R@1' not in analyse(results, RECORDS, {}, [], None)


def test_right_captions_and_candidates_that_were_not_reranked():
    records = [*RECORDS, dict(product_id='a', caption='trained', sub_category=-1, colour=0)]
    image = dict(_result(0, [0, 1], [0.9, 0.5], 1), direction='itr', right=[0, 4], relevant=2)
    metrics = analyse([image], records, {}, ['sub_category', 'colour'], ['Trained'])
    assert metrics['itr/new/queries'] == 0  # one of the image's captions was trained
    # the right candidate is among the four, but only two of them were reranked: 2 has no gain
    missed = dict(_result(1, [2, 3], [0.9, 0.5], 4), pool=[1, 0, 2, 3])
    metrics = analyse([missed], records, {}, ['sub_category', 'colour'], None)
    assert metrics['tir/NDCG@10'] == 0
    unknown = _result(4, [3, 4], [0.9, 0.5], 2)  # its kind is unknown, so nothing is alike
    metrics = analyse([unknown], records, {}, ['sub_category', 'colour'], None)
    assert metrics['tir/coarse_R@1'] == 0 and metrics['tir/fine_R@1'] == 0


def test_expected_recall_equals_sampling():
    # rank 2: one of three negatives is better, drawn with probability 1/3
    assert expected_recall(np.array([2]), np.array([3]), 2) == pytest.approx(100 * 2 / 3)
    assert expected_recall(np.array([1, 5]), np.array([9, 9]), 9) == pytest.approx(50)
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 12, 40)
    hits = [
        (rng.permutation(50)[:9] >= rank - 1).all()  # the rank - 1 best negatives come first
        for rank in ranks
        for _ in range(200)
    ]
    expected = expected_recall(ranks, np.full(40, 50), 10)
    assert expected == pytest.approx(100 * np.mean(hits), abs=1.5)


def test_the_interval_draws_the_queries_of_a_product_together():
    results = [_result(0, [0, 1], [0.9, 0.5], 1 + (i < 200)) for i in range(400)]
    products = [dict(RECORDS[0], product_id=str(i)) for i in range(400)]
    alone = [dict(result, query=i) for i, result in enumerate(results)]
    metrics = analyse(alone, products, {}, [], None)
    # normal approximation: 50 +- 1.96 x 50 / sqrt(400)
    ends = metrics['tir/R@1_low'], metrics['tir/R@1_high']
    assert ends == pytest.approx((45.1, 54.9), abs=0.6)
    four = [dict(result, query=i // 4) for i, result in enumerate(results)]  # equal queries
    metrics = analyse(four, products, {}, [], None)
    ends = metrics['tir/R@1_low'], metrics['tir/R@1_high']
    assert ends == pytest.approx((40.2, 59.8), abs=1.2)


def test_ndcg_and_average_precision_by_hand():
    assert ndcg(np.array([0, 1.0]), np.array([1.0, 0])) == pytest.approx(1 / np.log2(3))
    assert ndcg(np.array([0.0]), np.array([0.0])) == 0
    scores, positives = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    assert average_precision(scores, positives) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.ones(4), np.array([True, False, False, False])) == 0.25


def test_they_count_as_scikit_learn():
    from sklearn.metrics import average_precision_score, ndcg_score

    rng = np.random.default_rng(0)
    for _ in range(20):
        scores, positives = rng.random(30), rng.random(30) < 0.2
        positives[0] = True
        expected = average_precision_score(positives, scores)
        assert average_precision(scores, positives) == pytest.approx(expected)
        gains = rng.integers(0, 3, 30) / 2
        first = gains[np.argsort(-scores)][:10]
        assert ndcg(first, gains) == pytest.approx(ndcg_score([gains], [scores], k=10))


def test_hubness_is_the_skewness():
    first = [np.array([7, 8]), np.array([7, 9]), np.array([7, 8])]
    assert hubness(first, 10) == pytest.approx(skew([3, 2, 1, *[0] * 7]))
    assert hubness([np.array([1]), np.array([2])], 2) == 0


@pytest.mark.parametrize(
    ('caption', 'expected'),
    [
        ('Nike Men Running Shoes', 'Nike Men Runinng Shoes'),
        ('a bb', 'a bb'),
        ('', ''),
        ('ab', 'ba'),
    ],
)
def test_a_typing_error(caption, expected):
    assert with_typo(caption) == expected
