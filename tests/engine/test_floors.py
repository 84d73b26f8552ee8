"""Contract: a test finds the floors of its own protocol and data, and says its distance to them."""

from mvlt.engine.floors import above_floors, floor_key, read_floors, shared_floors, write_floors

RECORDS = [
    dict(product_id='1', caption='red shoe', img_path='/a/1.jpg', kind=0),
    dict(product_id='2', caption='blue bag', img_path='/a/2.jpg', kind=1),
]
PROTOCOL = dict(name='101', num_candidates=101, seeds=[0], rerank='itm', rerank_topk=None)


class _Data(list):
    metainfo = dict(kind=('Shoe', 'Bag'), kind_trained=2)
    get_data_info = list.__getitem__


def test_the_key_follows_data_and_protocol_but_not_the_model():
    data = _Data(RECORDS)
    key = floor_key(data, PROTOCOL)
    assert floor_key(data, dict(PROTOCOL, rerank=None, rerank_topk=10)) == key
    assert floor_key(data, dict(PROTOCOL, seeds=[1])) != key
    assert floor_key(_Data(RECORDS[::-1]), PROTOCOL) != key
    for change in (dict(caption='red shoes'), dict(img_path='/a/3.jpg'), dict(kind=1)):
        assert floor_key(_Data([RECORDS[0] | change, RECORDS[1]]), PROTOCOL) != key
    moved = [record | dict(img_path=record['img_path'].replace('/a', '/b')) for record in RECORDS]
    assert floor_key(_Data(moved), PROTOCOL) == key
    # class ids follow the model, names do not
    other = _Data([RECORDS[0] | dict(kind=1), RECORDS[1] | dict(kind=0)])
    other.metainfo = dict(kind=('Bag', 'Shoe'), kind_trained=2)
    assert floor_key(other, PROTOCOL) == key


def test_floors_are_stored_by_key_and_added(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_floors('a') == {}
    write_floors('a', dict(ridge={'x/R@1': 41.6}), 300, 'c')
    write_floors('a', dict(ridge={'y/R@1': 1.0}, nearest={'x/R@1': 2.0}), 300, 'c')
    assert read_floors('a') == dict(ridge={'x/R@1': 41.6, 'y/R@1': 1.0}, nearest={'x/R@1': 2.0})
    write_floors('a', dict(ridge={'x/R@1': 9.0}), 20, 'c')  # learnt from fewer products
    assert read_floors('a')['ridge']['x/R@1'] == 41.6
    write_floors('a', dict(ridge={'x/R@1': 50.0}), 400, 'c')
    assert read_floors('a')['ridge']['x/R@1'] == 50.0
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
    assert above_floors({'b/R@1': 2.0}, {}) == []
