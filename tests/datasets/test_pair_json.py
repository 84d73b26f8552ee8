"""Contract: records of strings, each checked, each error with its number."""

import json

import pytest
from PIL import Image

from mvlt.datasets import PairJSON

RECORD = dict(
    image='a.png', caption='A red hat.', product_id='1', main_category='HATS', sub_category='CAPS'
)


def _write(root, records, name='train.json'):
    Image.new('RGB', (4, 4)).save(root / 'a.png')
    (root / name).write_text(json.dumps(dict(records=records)))


def test_records_and_classes(tmp_path):
    _write(tmp_path, [RECORD, dict(RECORD, sub_category='BERETS')])
    _write(tmp_path, [dict(RECORD, sub_category='BERETS', main_category='NEW')], 'valid.json')
    dataset = PairJSON(data_root=str(tmp_path), ann_file='valid.json', classes_from='train.json')
    record = dataset.get_data_info(0)
    assert (record['main_category'], record['sub_category']) == (1, 0)
    assert dataset.metainfo['main_category'] == ('HATS', 'NEW')


def test_more_keys_are_attributes_for_whom_names_them(tmp_path):
    _write(tmp_path, [dict(RECORD, colour=colour) for colour in ('red', '', 'blue')])
    dataset = PairJSON(data_root=str(tmp_path), ann_file='train.json', attributes=['colour'])
    assert dataset.metainfo['colour'] == ('blue', 'red')
    assert [dataset.get_data_info(row)['colour'] for row in range(3)] == [1, -1, 0]
    assert dataset.get_data_info(0)['attributes'] == ('colour',)
    plain = PairJSON(data_root=str(tmp_path), ann_file='train.json')
    assert 'colour' not in plain.get_data_info(0)
    with pytest.raises(
        KeyError, match="'season'; the records of .*train.json have image, .*colour"
    ):
        PairJSON(data_root=str(tmp_path), ann_file='train.json', attributes=['season'])


def test_categories_may_be_absent(tmp_path):
    _write(tmp_path, [{key: RECORD[key] for key in ('image', 'caption', 'product_id')}])
    assert 'main_category' not in PairJSON(
        data_root=str(tmp_path), ann_file='train.json'
    ).get_data_info(0)


@pytest.mark.parametrize(
    ('records', 'message'),
    [
        ([], 'or an empty one'),
        ([RECORD, dict(RECORD, caption='...')], r'records\[1\], product 1: the caption is empty'),
        ([RECORD, dict(RECORD, image='b.png')], r"records\[1\]: no image 'b.png'"),
        ([RECORD, dict(RECORD, image='../b.png')], 'lies outside'),
        ([RECORD, dict(RECORD, extra='x')], r'records\[1\]: every record needs'),
        ([dict(RECORD, product_id=1)], 'every value must be a string'),
        ([{'image': 'a.png'}], r'records\[0\]: every record needs image, caption, product_id'),
        ([None], r'records\[0\]: every record needs'),
    ],
)
def test_bad_records(tmp_path, records, message):
    _write(tmp_path, records)
    with pytest.raises((ValueError, KeyError, FileNotFoundError), match=message):
        PairJSON(data_root=str(tmp_path), ann_file='train.json')


def test_training_without_the_categories_of_validation(tmp_path):
    _write(tmp_path, [{key: RECORD[key] for key in ('image', 'caption', 'product_id')}])
    _write(tmp_path, [RECORD], 'valid.json')
    with pytest.raises(KeyError, match="train.json: its records lack 'main_category'"):
        PairJSON(data_root=str(tmp_path), ann_file='valid.json', classes_from='train.json')


def test_no_file_and_no_json(tmp_path):
    with pytest.raises(FileNotFoundError, match='make it with tools/dataset_converters'):
        PairJSON(data_root=str(tmp_path), ann_file='none.json')
    (tmp_path / 'bad.json').write_bytes(b'\xff')
    with pytest.raises(ValueError, match='no JSON'):
        PairJSON(data_root=str(tmp_path), ann_file='bad.json')
