"""Every store against plain arrays, and against filters evaluated by hand."""

import fcntl
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvlt.retrieval.index import IndexDescription, MemoryIndex, open_index
from mvlt.retrieval.index.filters import mask, parse, to_text
from mvlt.retrieval.index.lance import _DIALECT, LanceIndex
from mvlt.retrieval.index.milvus import MilvusIndex, split_uri

D = 4
COLUMNS = {'colour': 'text', "prix d'été": 'number', 'in stock': 'flag'}
DESCRIPTION = IndexDescription('model', D, COLUMNS)
ROWS = [  # id, image index, embedding, colour, price, in stock
    ('a', 0, (1, 0, 0, 0), 'red', 10.0, True),
    ('a', 1, (0.5, 0.5, 0, 0), 'red', 10.0, True),
    ("b'", 0, (0.9, 0, 0, 0), 'light \'blue"', 20.0, False),
    ('c', 0, (0.8, 0, 0, 0), None, None, None),
    ('d é\\', 0, (0, 1, 0, 0), 'ré\\d', 30.5, True),
]


def table(index, rows):
    ids, image_indices, embeds, *cells = zip(*rows)
    return index.rows(
        np.array(embeds, np.float32),
        dict(zip(COLUMNS, cells)),
        product_id=ids,
        image_index=image_indices,
        image_hash=[f'{i}/{v}' for i, v in zip(ids, image_indices)],
        row_hash=['x'] * len(ids),
    )


@pytest.fixture(params=['memory', 'lance', 'milvus'])
def index(request, tmp_path):
    """One of the three stores, filled."""
    locations = dict(memory='memory', lance=tmp_path / 'index', milvus=tmp_path / 'index.db')
    index = open_index(locations[request.param], DESCRIPTION)
    index.upsert(table(index, ROWS))
    yield index
    if request.param == 'milvus':
        index.client.close()


def hits(index, where=None, count=10, query=(1, 0.1, 0, 0)):
    rows = index.search(np.array(query), count, where)
    return [(row['product_id'], row['image_index']) for row in rows.to_pylist()]


def test_the_four_verbs(index):
    """By hand: products with (1, 0.1, 0, 0) are 1, 0.9, 0.8, 0.55, 0.1."""
    assert hits(index) == [('a', 0), ("b'", 0), ('c', 0), ('a', 1), ('d é\\', 0)]
    best = index.search(np.array((1, 0.1, 0, 0)), 2).to_pylist()
    assert best[0]['similarity'] == pytest.approx(1) and best[1]['similarity'] == pytest.approx(0.9)
    assert best[1]["prix d'été"] == 20 and best[1]['in stock'] is False
    assert index.count() == 5
    # an upsert replaces all images of a product
    index.upsert(table(index, [('a', 0, (0, 0, 1, 0), 'green', None, False)]))
    assert index.count() == 4 and index.count({'colour': 'green'}) == 1
    assert index.delete(["b'", 'nobody', 'd é\\']) == 2
    assert hits(index) == [('c', 0), ('a', 0)]
    assert index.delete(['nobody']) == 0 and index.delete([]) == 0
    (row,) = index.fetch(['a', 'nobody']).to_pylist()
    assert row['vector'] == [0, 0, 1, 0] and row['colour'] == 'green'
    assert sorted(index.keys()['image_hash'].to_pylist()) == ['a/0', 'c/0']
    index.compact()
    assert hits(index) == [('c', 0), ('a', 0)]


@pytest.mark.parametrize(
    'where, expected',
    [
        ({}, 'a0 a1 b c d'),
        ({'colour': 'red'}, 'a0 a1'),
        ({'colour': ['red', 'light \'blue"']}, 'a0 a1 b'),
        ({'colour': 'ré\\d'}, 'd'),
        ({'not': {'colour': 'red'}}, 'b c d'),
        ({"prix d'été": {'min': 20}}, 'b d'),
        ({"prix d'été": {'min': 10, 'max': 20}}, 'a0 a1 b'),
        ({"prix d'été": 30.5}, 'd'),
        ({'not': {"prix d'été": {'max': 20}}}, 'c d'),
        ({'in stock': True}, 'a0 a1 d'),
        ({'not': {'in stock': True}}, 'b c'),
        ({'or': [{'colour': 'red'}, {"prix d'été": {'min': 30}}]}, 'a0 a1 d'),
        ({'not': {'or': [{'colour': 'red'}, {"prix d'été": {'min': 30}}]}}, 'b c'),
        ({'colour': 'red', "prix d'été": {'min': 11}}, ''),
        ({'not': {}}, ''),
        ({'not': {'not': {}}}, 'a0 a1 b c d'),
        ({'or': [{}, {'colour': 'red'}]}, 'a0 a1 b c d'),
    ],
)
def test_filters(index, where, expected):
    names = {'a': 'a', "b'": 'b', 'c': 'c', 'd é\\': 'd'}
    got = sorted(names[i] + (str(v) if i == 'a' else '') for i, v in hits(index, where))
    assert got == expected.split()
    assert index.count(where) == len(got)


@pytest.mark.parametrize(
    'where, message',
    [
        ({'size': 3}, "no column 'size'; legal: colour"),
        ({'colour': 3}, "'colour' holds texts, not 3"),
        ({'colour': []}, "'colour' takes 1 to 1000 values"),
        ({'colour': {'min': 'a'}}, 'the column holds texts'),
        ({"prix d'été": '3'}, 'holds numbers'),
        ({"prix d'été": {'least': 3}}, "legal: {'min': 10"),
        ({"prix d'été": float('nan')}, 'holds numbers, not nan'),
        ({'in stock': 1}, 'holds flags'),
        ({'or': {'colour': 'red'}}, "'or' takes a list"),
        ({'not': 'red'}, 'a dict of column'),
        ("colour = 'red' or 1 = 1", 'a dict of column'),
    ],
)
def test_a_filter_that_does_not_fit_is_refused(where, message):
    with pytest.raises(ValueError, match='where: ') as error:
        parse(where, COLUMNS)
    assert message in str(error.value)


def nested(depth):
    return {} if not depth else {'not': nested(depth - 1)}


def test_filters_are_bounded():
    parse(nested(8), COLUMNS)
    with pytest.raises(ValueError, match='8 deep'):
        parse(nested(9), COLUMNS)


leaf = st.one_of(
    st.builds(lambda v: {'colour': v}, st.lists(st.sampled_from(['x', 'y', "'"]), min_size=1)),
    st.builds(lambda a: {'price': {'min': a}}, st.integers(0, 3)),
    st.builds(lambda a: {'price': {'max': a}}, st.integers(0, 3)),
    st.just({}),
)
trees = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.builds(lambda a: {'not': a}, inner),
        st.builds(lambda a: {'and': a}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda a: {'or': a}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)


@given(trees)
@settings(max_examples=60, deadline=None)
def test_a_store_reads_a_filter_as_arrays_do(where):
    """Compared with SQLite, whose NULL is that of every SQL."""
    import sqlite3

    import pyarrow as pa

    rows = [(c, p) for c in ('x', 'y', "'", None) for p in (0.0, 1.0, 2.0, None)]
    columns = pa.table({'colour': [c for c, _ in rows], 'price': [p for _, p in rows]})
    parsed = parse(where, {'colour': 'text', 'price': 'number'})
    database = sqlite3.connect(':memory:')
    database.execute('create table t (colour text, price real)')
    database.executemany('insert into t values (?, ?)', rows)
    text = to_text(parsed, _DIALECT) or 'true'
    chosen = [row[0] - 1 for row in database.execute(f'select rowid from t where {text}')]
    assert sorted(chosen) == np.flatnonzero(mask(parsed, columns)).tolist()


def test_wrong_rows_are_refused_and_change_nothing(index):
    rows = table(index, ROWS[:1])
    with pytest.raises(ValueError, match='an embedding is not finite'):
        index.upsert(table(index, [('z', 0, (np.nan, 0, 0, 0), 'red', 1.0, True)]))
    with pytest.raises(ValueError, match='columns'):
        index.upsert(rows.drop(['colour']))
    for wrong in ('', 'x' * 201, 'a\nb', '\x00'):
        with pytest.raises(ValueError, match='product id'):
            index.upsert(table(index, [(wrong, *ROWS[0][1:])]))
    with pytest.raises(ValueError, match="column 'colour' holds texts"):
        index.upsert(table(index, [('z', 0, (1, 0, 0, 0), 3, 1.0, True)]))
    for query in ((1, 0), (np.inf, 0, 0, 0)):
        with pytest.raises(ValueError, match='4 finite numbers'):
            index.search(np.array(query), 3)
    with pytest.raises(ValueError, match='count=0'):
        index.search(np.ones(D), 0)
    assert index.count() == 5


def test_an_index_can_be_opened_again(tmp_path):
    for location in (tmp_path / 'index', tmp_path / 'index.db'):
        with pytest.raises(FileNotFoundError, match='no index'):
            open_index(location)
        first = open_index(location, DESCRIPTION)
        first.upsert(table(first, ROWS))
        with pytest.raises(ValueError, match='there is an index already'):
            open_index(location, DESCRIPTION)
        if isinstance(first, MilvusIndex):
            first.client.close()
        again = open_index(location)
        assert again.description == DESCRIPTION and again.count() == 5
        again.upsert(table(again, [('e', 0, (0, 0, 0, 1), None, None, None)]))
        if isinstance(first, LanceIndex):
            assert first.count() == 6  # readers see what others write


def test_one_process_writes_at_a_time(tmp_path):
    first = LanceIndex(tmp_path / 'index', DESCRIPTION)
    second = LanceIndex(tmp_path / 'index')
    with first.writing():
        first.upsert(table(first, ROWS))
        with pytest.raises(ValueError, match=r'process \d+ writes to this index'):
            second.upsert(table(second, ROWS))
    second.upsert(table(second, ROWS[:2]))
    assert first.count() == 5


def test_threads_of_a_process_wait_and_keep_the_lock(tmp_path):
    """While any of them writes, the file is locked against other processes, too."""
    index = open_index(tmp_path / 'index', DESCRIPTION)
    inside, seen = [], []

    def write(number):
        with index.writing(), index.writing():
            inside.append(number)
            seen.append(len(inside))
            with open(tmp_path / 'index' / '.lock', 'a+') as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            time.sleep(0.005)
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    assert seen == [1] * 40
    with open(tmp_path / 'index' / '.lock', 'a+') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # free again


def test_a_damaged_index_is_reported(tmp_path):
    LanceIndex(tmp_path / 'index', DESCRIPTION)
    path = tmp_path / 'index' / 'index.json'
    for text in (
        '',
        '{}',
        '{"version": 2',
        path.read_text().replace('"version": 2', '"version": 7'),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match='build it again'):
            open_index(tmp_path / 'index')
    path.write_text(IndexDescription('model', D, {}).to_json())
    with pytest.raises(ValueError, match='damaged.*build it again'):
        open_index(tmp_path / 'index')


def test_quantised_search_returns_what_exact_search_returns(tmp_path, monkeypatch):
    """3,000 rows in clusters; with filters that leave 10 % and 1 %."""
    monkeypatch.setattr('mvlt.retrieval.index.lance.EXACT_BELOW', 2000)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 32))
    embeds = centres[rng.integers(0, 40, 3000)] + 0.5 * rng.normal(size=(3000, 32))
    embeds = (embeds / np.linalg.norm(embeds, axis=1, keepdims=True)).astype(np.float32)
    description = IndexDescription('model', 32, {'part': 'number'})
    index = LanceIndex(tmp_path / 'index', description, exact_rows=100)
    exact = MemoryIndex(description)
    keys = dict(image_index=[0] * 3000, image_hash=[''] * 3000, row_hash=[''] * 3000)
    ids = [str(i) for i in range(3000)]
    for store in (index, exact):
        parts = dict(part=[float(i % 100) for i in range(3000)])
        store.upsert(store.rows(embeds, parts, product_id=ids, **keys))
        store.delete(ids[:50])
    assert not index._quantised
    index.compact()
    assert index._quantised
    for where in (None, {'part': {'max': 9}}, {'part': 7}):
        correct = 0
        for query in embeds[100:120]:
            expected = exact.search(query, 10, where)['product_id'].to_pylist()
            result = index.search(query, 10, where)['product_id'].to_pylist()
            correct += len({*expected} & {*result})
        assert correct >= 198


def test_addresses():
    assert split_uri('http://h:1/shoes') == ('http://h:1', 'shoes')
    assert split_uri('https://h:1') == ('https://h:1', 'mvlt')
    assert split_uri('shop.db') == ('shop.db', 'mvlt')
