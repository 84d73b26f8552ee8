"""Contract: a file names rows, a seed gives the same bytes, errors name the list."""

import json

import pytest
from mmengine.logging import MMLogger

from mvlt.datasets import draw_candidates
from mvlt.datasets.candidate_files import read_candidates, row_ids
from mvlt.tools.dataset_converters.make_candidates import candidate_content

RECORDS = [
    dict(product_id=product, caption=f'caption of {product}', sub_category=0)
    for product in ('a', 'b', 'a', 'c', 'd', 'c')
]


def _write(tmp_path, content):
    path = tmp_path / 'candidates.json'
    path.write_text(json.dumps(content))
    return str(path)


def test_ids_count_the_rows_of_a_product():
    assert row_ids(RECORDS) == ['a_0', 'b_0', 'a_1', 'c_0', 'd_0', 'c_1']


def test_a_file_read_back_is_the_draw(tmp_path):
    content = candidate_content(RECORDS, dict(split='test'), 3, 3, seeds=(4, 5))
    assert content['data'] == dict(split='test', rows=6)
    assert content['protocol']['queries'] == 3
    draws = read_candidates(_write(tmp_path, content), RECORDS)
    assert len(draws) == 2
    for draw, seed in zip(draws, (4, 5)):
        expected = draw_candidates(RECORDS, 3, 3, seed)
        assert draw == dict(tir=expected, itr=expected)


def test_known_bytes():
    """A published file: the ids must be the same on every machine and version."""
    content = candidate_content(RECORDS, {}, 2, 3, seeds=(0,))
    assert json.dumps(content['draws']) == EXPECTED


EXPECTED = (
    '[{"seed": 0, "tir": [["c_0", "d_0", "a_0"], ["a_1", "d_0", "b_0"]], '
    '"itr": [["c_0", "d_0", "a_0"], ["a_1", "d_0", "b_0"]]}]'
)


def test_rows_may_have_moved_as_long_as_their_products_order_is_kept(tmp_path):
    content = candidate_content(RECORDS, {}, 4, 4, seeds=(0,))
    path = _write(tmp_path, content)
    moved = [RECORDS[i] for i in (4, 1, 0, 3, 2, 5)]
    before, after = read_candidates(path, RECORDS), read_candidates(path, moved)
    named = [
        [[ids[row] for row in entry.candidates] for entry in draws[0]['tir']]
        for draws, ids in ((before, row_ids(RECORDS)), (after, row_ids(moved)))
    ]
    assert named[0] == named[1]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(format='other'), "'format' is not 'mvlt-candidates'"),
        (dict(version=2), 'version 2 of the format, 1 is supported'),
        (dict(draws=[]), 'it holds no list'),
        (dict(draws=['x']), "'draws' is no list of objects"),
        (dict(draws=dict(a=1)), "'draws' is no list of objects"),
        (dict(draws=[dict(tir=None)]), r'draws\[0\].tir is no list'),
        (dict(draws=[dict(tir=[['a_0', 1]])]), r'draws\[0\].tir\[0\]: a list of a query'),
        (dict(draws=[dict(tir=[['a_0']])]), r'draws\[0\].tir\[0\]: a list of a query and at least'),
        (
            dict(draws=[dict(itr=[['a_0', 'b_0'], ['a_0', 'z_0', 'z_1']])]),
            r"draws\[0\].itr\[1\]: the evaluated data has no 'z_0' \(2 of 3 ids unknown\); is the",
        ),
    ],
)
def test_wrong_files(tmp_path, change, message):
    content = dict(candidate_content(RECORDS, {}, 2, 3, seeds=(0,)), **change)
    with pytest.raises(ValueError, match=message):
        read_candidates(_write(tmp_path, content), RECORDS)


def test_no_json_and_no_file(tmp_path):
    (tmp_path / 'cut.json').write_text('{"format": "mvlt-')
    with pytest.raises(ValueError, match='no JSON, perhaps cut short'):
        read_candidates(str(tmp_path / 'cut.json'), RECORDS)
    with pytest.raises(FileNotFoundError, match='make_candidates'):
        read_candidates(str(tmp_path / 'none.json'), RECORDS)


def test_negatives_of_the_querys_own_product_are_reported(tmp_path, caplog):
    content = candidate_content(RECORDS, {}, 2, 3, seeds=(0,))
    content['draws'] = [dict(tir=[['a_0', 'a_1', 'b_0']], itr=[])]
    logger = MMLogger.get_instance('own_negatives')
    logger.addHandler(caplog.handler)
    draws = read_candidates(_write(tmp_path, content), RECORDS)
    assert draws[0]['tir'][0].candidates == (0, 2, 1)
    assert '1 negatives in 1 lists' in caplog.text
