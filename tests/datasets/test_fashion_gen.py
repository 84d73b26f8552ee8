"""Contract: raw Fashion-Gen rows become records; errors name file and row."""

import os
import shutil

import h5py
import numpy as np
import pytest

from mvlt.datasets import FashionGen
from mvlt.tools.dataset_converters.make_demo_data import (
    Product,
    draw_products,
    render,
    write_fashion_gen,
)

FILE = 'fashiongen_64_64_validation.h5'


@pytest.fixture
def broken(demo_data, tmp_path):
    """A copy of the validation file to damage."""
    return shutil.copy(demo_data / FILE, tmp_path / FILE)


def _open(path, **kwargs):
    return FashionGen(ann_file=str(path), **kwargs)


def test_rows_categories_and_images(demo_data):
    dataset = _open(demo_data / 'fashiongen_64_64_train.h5')
    products = draw_products(2, seed=0)
    assert len(dataset) == 2 * len(products)
    mains = sorted({p.main_category for p in products})
    assert dataset.metainfo['main_category'] == tuple(mains)
    for row in (0, 7, 47):
        record = dataset.load(dataset.get_data_info(row))
        product: Product = products[row // 2]
        assert record['product_id'] == str(product.product_id)
        assert record['caption'] == f'{product.name}. {product.description}'
        assert mains[record['main_category']] == product.main_category
        view = ('front', 'turned')[row % 2]
        assert np.array_equal(record['img'], render(product, view, 32, seed=0))


def test_other_captions(demo_data):
    product = draw_products(2, seed=0)[0]
    record = _open(
        demo_data / 'fashiongen_64_64_train.h5', caption_templates=('{name}',)
    ).get_data_info(0)
    assert record['other_captions'] == (product.name,)
    with pytest.raises(KeyError, match="caption='{title}'; legal fields: name, description"):
        _open(demo_data / 'fashiongen_64_64_train.h5', caption_templates=('{title}',))


def test_validation_is_numbered_as_training_and_unseen_names_come_last(broken, demo_data, caplog):
    with h5py.File(broken, 'r+') as file:
        values = file['input_subcategory'][:]
        values[3] = 'MÉNAGE'.encode('latin-1')[: values.dtype.itemsize]
        file['input_subcategory'][:] = values
    train = _open(demo_data / 'fashiongen_64_64_train.h5')
    dataset = _open(broken, classes_from=str(demo_data / 'fashiongen_64_64_train.h5'))
    names = dataset.metainfo['sub_category']
    assert names[:-1] == train.metainfo['sub_category']
    assert names[-1] == 'MÉNAGE'
    assert dataset.get_data_info(3)['sub_category'] == len(names) - 1


def test_columns_are_attributes_for_whom_names_them(broken):
    with h5py.File(broken, 'r+') as file:
        values = [[b'Women'], [b'']] * (len(file['input_name']) // 2)
        file['fabric'] = np.array(values, 'S8')
    dataset = _open(broken, attributes=dict(gender='fabric'))
    assert dataset.metainfo['gender'] == ('Women',)
    assert [dataset.get_data_info(row)['gender'] for row in (0, 1)] == [0, -1]
    assert dataset.get_data_info(0)['attributes'] == ('gender',)
    with pytest.raises(KeyError, match='lining'):
        _open(broken, attributes=dict(season='lining'))


def test_data_workers_open_their_own_file(demo_data):
    from torch.utils.data import DataLoader

    dataset = _open(demo_data / FILE)
    dataset.load(dataset.get_data_info(0))
    rows = [dataset.load(dataset.get_data_info(i))['img'] for i in range(6)]

    class Loaded:
        def __len__(self):
            return 6

        def __getitem__(self, idx):
            return dataset.load(dataset.get_data_info(idx))['img']

    for row, img in zip(rows, DataLoader(Loaded(), None, num_workers=2)):
        assert np.array_equal(row, img)


def test_missing_file_names_the_expected_ones(tmp_path):
    with pytest.raises(FileNotFoundError, match='fashiongen_256_256_train.h5'):
        _open(tmp_path / 'nothing.h5')


def test_foreign_and_cut_files(broken, tmp_path):
    foreign = tmp_path / 'foreign.h5'
    foreign.write_text('not HDF5')
    with pytest.raises(ValueError, match='foreign.h5: not a readable HDF5'):
        _open(foreign)
    os.truncate(broken, os.path.getsize(broken) // 3)
    with pytest.raises(ValueError, match='not a readable HDF5'):
        _open(broken)


def test_missing_key(broken):
    with h5py.File(broken, 'r+') as file:
        del file['input_category']
    with pytest.raises(KeyError, match='input_category'):
        _open(broken)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('input_image', np.zeros((4, 32, 32), np.uint8)),
        ('input_image', np.zeros((216, 32, 32, 3), np.float32)),
        ('input_name', np.zeros(216, 'S4')),
        ('input_category', np.zeros((5, 1), 'S4')),
    ],
)
def test_wrong_shape(broken, key, value):
    with h5py.File(broken, 'r+') as file:
        del file[key]
        file[key] = value
    with pytest.raises(ValueError, match='expected'):
        _open(broken)


def test_empty_caption_names_row_and_product(broken):
    with h5py.File(broken, 'r+') as file:
        for key in ('input_name', 'input_description'):
            values = file[key][:]
            values[5] = b''
            file[key][:] = values
    with pytest.raises(ValueError, match='row 5, product 1002: the caption is empty'):
        _open(broken)


def test_interrupted_writing_leaves_no_file(tmp_path):
    writing = write_fashion_gen(tmp_path / 'a.h5', draw_products(1, 0), views=1, side=16)
    next(writing)
    writing.close()
    assert list(tmp_path.iterdir()) == []


def test_a_caption_of_breaks_only_is_empty(broken):
    with h5py.File(broken, 'r+') as file:
        for key in ('input_name', 'input_description'):
            column = file[key][:]
            column[2] = b'<br>'
            file[key][:] = column
    with pytest.raises(ValueError, match='row 2, .*the caption is empty'):
        _open(broken)


def test_unknown_field_of_the_caption(broken):
    with pytest.raises(KeyError, match='legal fields: name, description'):
        _open(broken, caption='{title}')
