"""Contract: a sample's key seeds it; unreadable samples are named or replaced."""

import numpy as np
import pytest

from mvlt.datasets import Catalogue, MatchingPairs
from mvlt.datasets.sampling import Draw, fetch
from mvlt.structures import PairDataSample


def _read(row):
    if row % 2:
        raise OSError(f'row {row} is broken')
    return dict(row=row, drawn=np.random.random(), data_samples=PairDataSample())


def test_random_numbers_follow_from_the_place():
    first = fetch(Draw(2, (0, 0, 5)), _read, 10, 'raise')['drawn']
    np.random.random()
    assert fetch(Draw(2, (0, 0, 5)), _read, 10, 'raise')['drawn'] == first
    assert fetch(Draw(2, (0, 0, 6)), _read, 10, 'raise')['drawn'] != first


def test_raise():
    with pytest.raises(OSError, match='row 3 is broken'):
        fetch(3, _read, 10, 'raise')


def test_skip_takes_the_same_other_row_every_time_and_says_so():
    samples = [fetch(Draw(3, (0, 0, position)), _read, 10, 'skip') for position in (1, 1, 2)]
    assert samples[0]['row'] == samples[1]['row'] and samples[0]['row'] % 2 == 0
    assert samples[0]['data_samples'].skipped[0] == (3, 'row 3 is broken')
    groups = fetch(Draw(3, (0, 0, 1)), lambda row: [_read(row), _read(row)], 10, 'skip')
    assert 'skipped' in groups[0]['data_samples'] and 'skipped' not in groups[1]['data_samples']


def test_skip_gives_up_where_nothing_can_be_read():
    with pytest.raises(OSError, match='broken'):
        fetch(1, lambda row: _read(1), 10, 'skip')


def test_a_mistake_in_the_code_is_never_skipped():
    with pytest.raises(ZeroDivisionError):
        fetch(0, lambda row: 1 / 0, 10, 'skip')


PIPELINE = [
    dict(type='mvlt.LoadImage'),
    dict(type='mvlt.Tokenize', max_length=8),
    dict(type='mvlt.PackPairInputs'),
]


def test_catalogue_with_missing_and_broken_images(catalogue, demo_data):
    PIPELINE[1]['tokenizer'] = str(demo_data / 'tokenizer')
    (catalogue / 'images/4.png').unlink()
    (catalogue / 'images/7.png').write_bytes(b'no image')
    settings = dict(
        ann_file='products.csv',
        data_root=str(catalogue),
        columns=dict(image='image', product_id='id'),
        caption='{title}',
        split='all',
    )
    with pytest.raises(FileNotFoundError, match='row 6'):
        Catalogue(**settings)
    with pytest.raises(ValueError, match='tools/check_dataset.py'):
        Catalogue(**settings, on_error='skip', test_mode=True)
    with pytest.raises(ValueError, match='legal: raise, skip'):
        Catalogue(**settings, on_error='ignore')
    dataset = Catalogue(**settings, on_error='skip', pipeline=PIPELINE)
    for data in (dataset, MatchingPairs(dataset)):
        for row, reason in ((4, 'no such image'), (7, 'unreadable image')):
            (skipped, why), *_ = data[row]['data_samples'].skipped
            assert skipped == row and reason in why and f'row {row + 2}' in why
