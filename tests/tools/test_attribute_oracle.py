"""Contract: expected recalls over random orders of equals agree with a simulation."""

import numpy as np
import pytest

from mvlt.tools.analysis_tools.attribute_oracle import equals, expected_recalls


def test_recalls_by_hand():
    # one of one; one of two; one of twelve; two of three
    assert expected_recalls([(1, 1)]) == [100, 100, 100]
    assert expected_recalls([(2, 1)]) == pytest.approx([50, 100, 100])
    assert expected_recalls([(12, 1)]) == pytest.approx([100 / 12, 500 / 12, 1000 / 12])
    assert expected_recalls([(3, 2)]) == pytest.approx([200 / 3, 100, 100])
    # two of eight among the first five: 1 - C(6, 5) / C(8, 5)
    assert expected_recalls([(8, 2)])[1] == pytest.approx(100 * (1 - 6 / 56))


def test_recalls_agree_with_a_simulation():
    rng = np.random.default_rng(0)
    hits = [np.isin(rng.permutation(9)[:5], (0, 1, 2)).any() for _ in range(4000)]
    assert expected_recalls([(9, 3)])[1] == pytest.approx(100 * np.mean(hits), abs=2)


def _records():
    classes = [0, 0, 0, 1, 1, 2]
    return [
        dict(product_id=str(i), caption=f'one {i}', img_path=str(i), kind=kind, colour=i % 2)
        for i, kind in enumerate(classes)
    ]


def test_equals_of_lists_and_of_the_full_ranking():
    lists = dict(type='mvlt.engine.RetrievalLoop', num_queries=10, num_candidates=6, seed=0)
    settings = _Settings(lists)
    assert sorted(equals(settings, _records(), ['kind'], 'tir')) == [
        *((1, 1), (2, 1), (2, 1), (3, 1), (3, 1), (3, 1))
    ]
    full = _Settings(type='mvlt.engine.FullRankingLoop')
    for direction in ('tir', 'itr'):
        pairs = list(equals(full, _records(), ['kind', 'colour'], direction))
        assert pairs == [(2, 1), (1, 1), (2, 1), (1, 1), (1, 1), (1, 1)]


class _Settings(dict):
    __getattr__ = dict.__getitem__
