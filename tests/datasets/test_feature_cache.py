"""Contract: features by the content of images; a killed writer leaves no wrong row."""

import os

import numpy as np
import pytest

from mvlt.datasets import Catalogue
from mvlt.datasets.feature_cache import FeatureCache, image_key, image_keys

KEYS = [bytes([i]) * 32 for i in range(4)]


def _features(count):
    return np.arange(count * 6, dtype=np.float32).reshape(count, 2, 3)


def test_rows_come_back_by_key_and_view(tmp_path):
    cache = FeatureCache(tmp_path / 'a', 2, 3)
    assert KEYS[0] not in cache
    with cache.writer() as write:
        write(KEYS[:2], _features(2))
        write(KEYS[2:3], _features(1) + 100)
    again = FeatureCache(tmp_path / 'a', 2, 3)
    assert again.get(KEYS[1], 1).tolist() == [9, 10, 11]
    assert again.get(KEYS[2], 0).tolist() == [100, 101, 102]
    assert KEYS[3] not in again
    assert again.lacks([KEYS[0], KEYS[3], b'', KEYS[3]]) == [3]
    with cache.writer() as write:  # of another process
        write(KEYS[3:], _features(1))
    again.reload()
    assert all(key in again for key in KEYS)


@pytest.mark.parametrize(
    ('suffix', 'size'), [('.f16', 12 + 5), ('.keys', 32 + 7)], ids=['values cut', 'keys cut']
)
def test_a_row_cut_short_does_not_count(tmp_path, suffix, size):
    cache = FeatureCache(tmp_path / 'a', 2, 3)
    with cache.writer() as write:
        write(KEYS[:2], _features(2))
    (path,) = (tmp_path / 'a').glob(f'*{suffix}')
    os.truncate(path, size)
    again = FeatureCache(tmp_path / 'a', 2, 3)
    assert KEYS[0] in again and KEYS[1] not in again
    assert again.get(KEYS[0], 1).tolist() == [3, 4, 5]


def test_the_least_recently_used_folder_is_deleted(tmp_path):
    caches = [FeatureCache(tmp_path / name, 2, 3) for name in 'abc']
    for number, cache in enumerate(caches):
        with cache.writer() as write:
            write(KEYS[:2], _features(2))
        os.utime(cache.folder, (number, number))
    size = 2 * (12 + 32)  # of one folder
    assert caches[0].make_room(2 * size) == [tmp_path / 'b']  # a is in use, c is newer
    assert caches[0].make_room(2 * size) == []
    assert KEYS[0] in FeatureCache(tmp_path / 'a', 2, 3)


@pytest.fixture
def shop(catalogue):
    """(on_error) -> the catalogue's 20 products; one image is cut short, one is gone."""
    path = catalogue / 'images/3.png'
    path.write_bytes(path.read_bytes()[:60])
    (catalogue / 'images/5.png').unlink()

    def dataset(on_error):
        return Catalogue(
            data_root=str(catalogue),
            ann_file='products.csv',
            columns=dict(image='image', product_id='id'),
            caption='{title}',
            split='all',
            max_missing_ratio=None,
            on_error=on_error,
            pipeline=[],
        )

    return dataset


def test_an_image_that_is_gone_has_no_key_if_it_may_be_skipped(shop):
    keys = image_keys(shop('skip'))
    assert sum(key == b'' for key in keys) == 1 and len({*keys}) == 20
    with pytest.raises(FileNotFoundError):
        image_keys(shop('raise'))


def test_keys_follow_the_content(tmp_path):
    for name, content in (('a', b'1'), ('b', b'1'), ('c', b'2')):
        (tmp_path / name).write_bytes(content)
    a, b, c = (image_key(dict(img_path=str(tmp_path / name))) for name in 'abc')
    assert a == b != c
    flat, tall = np.zeros((1, 4, 3), np.uint8), np.zeros((4, 1, 3), np.uint8)
    assert (
        image_key(dict(img=flat)) == image_key(dict(img=flat.copy())) != image_key(dict(img=tall))
    )
