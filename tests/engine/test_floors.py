"""Contract: a test finds the floors of its own protocol and data, and says its distance to them."""

import pytest

from mvlt.engine.floors import above_floors, floor_key, read_floors, shared_floors, write_floors

RECORDS = [dict(product_id='1', caption='red shoe'), dict(product_id='2', caption='blue bag')]
PROTOCOL = dict(name='101', num_candidates=101, seeds=[0], rerank='itm', rerank_topk=None)


def test_the_key_follows_data_and_protocol_but_not_the_model():
    key = floor_key(RECORDS, PROTOCOL)
    assert floor_key(RECORDS, dict(PROTOCOL, rerank=None, rerank_topk=10)) == key
    assert floor_key(RECORDS, dict(PROTOCOL, seeds=[1])) != key
    assert floor_key(RECORDS[::-1], PROTOCOL) != key
    assert floor_key([dict(RECORDS[0], caption='red shoes'), RECORDS[1]], PROTOCOL) != key


def test_floors_are_stored_by_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_floors('a') == {}
    floors = dict(ridge={'retrieval/tir/R@1': 41.6})
    write_floors('a', floors, dict(train_size=3))
    assert read_floors('a') == floors
    assert read_floors('b') == {}


def test_the_distance_to_the_best_floor():
    floors = dict(
        nearest={'retrieval/tir/R@1': 25.0, 'other/accuracy': 50.0},
        ridge={'retrieval/tir/R@1': 41.6, 'retrieval/tir/R@5': 72.7},
    )
    metrics = {'retrieval/tir/R@1': 54.85, 'retrieval/tir/R@5': 80.0, 'sub_category/accuracy': 9.0}
    shared = shared_floors(floors, metrics)
    assert shared == dict(nearest={'retrieval/tir/R@1': 25.0}, ridge=floors['ridge'])
    (line,) = above_floors(metrics, shared)
    assert line == 'retrieval/tir/R@1 54.9: 13.2 above the best floor, 41.6 (ridge)'
    (line,) = above_floors({'retrieval/tir/R@1': 40.0}, shared)
    assert 'BELOW' in line and line.startswith('retrieval/tir/R@1 40.0: 1.6')


def test_nothing_in_common():
    assert shared_floors(dict(ridge={'a/R@1': 1.0}), {'b/R@1': 2.0}) == {}
    assert above_floors({'b/R@1': 2.0}, {}) == pytest.approx([])
