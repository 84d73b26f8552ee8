"""Contract: which split and which classes a row of a catalogue has."""

import pandas as pd
import pytest

from mvlt.datasets import Catalogue
from mvlt.datasets.pair_dataset import product_share
from tests.datasets.catalogues import (
    CAPTION,
    COLUMNS,
    decided_catalogue,
    edit_cell,
    ids_of,
    open_catalogue,
)


def test_splits_are_disjoint_complete_and_stable(catalogue):
    split_ids = {}
    for split in ('train', 'val', 'test'):
        dataset = open_catalogue(catalogue, split=split, split_ratios=(0.5, 0.3, 0.2))
        split_ids[split] = [dataset.get_data_info(i)['product_id'] for i in range(len(dataset))]
    everything = [product for products in split_ids.values() for product in products]
    assert sorted(everything, key=int) == [str(i) for i in range(20)]
    # another row does not move the rest
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    extra = table.iloc[:1].assign(id='777')
    pd.concat([extra, table]).to_csv(catalogue / 'products.csv', index=False)
    again = open_catalogue(catalogue, split='train', split_ratios=(0.5, 0.3, 0.2))
    ids = [again.get_data_info(i)['product_id'] for i in range(len(again))]
    assert [i for i in ids if i != '777'] == split_ids['train']


def test_images_of_a_product_share_a_split(catalogue):
    table = pd.read_csv(catalogue / 'products.csv', dtype=str)
    table['id'] = [str(i // 4) for i in range(20)]
    table.to_csv(catalogue / 'products.csv', index=False)
    sides = {}
    for split in ('train', 'val', 'test'):
        try:
            dataset = open_catalogue(catalogue, split=split, split_ratios=(0.4, 0.3, 0.3))
        except ValueError:  # this split got no product
            continue
        for i in range(len(dataset)):
            sides.setdefault(dataset.get_data_info(i)['product_id'], set()).add(split)
    assert len(sides) == 5
    assert all(len(splits) == 1 for splits in sides.values())


def test_split_column(catalogue):
    table = pd.read_csv(catalogue / 'products.csv', dtype=str)
    table['part'] = ['test' if i < 4 else 'train' for i in range(20)]
    table.to_csv(catalogue / 'products.csv', index=False)
    assert len(open_catalogue(catalogue, columns=dict(COLUMNS, split='part'), split='test')) == 4
    edit_cell(catalogue, 2, 'part', 'tset')
    with pytest.raises(ValueError, match="row 4: split 'tset'; legal: train, val, test"):
        open_catalogue(catalogue, columns=dict(COLUMNS, split='part'), split='test')


def test_rare_categories(catalogue, caplog):
    edit_cell(catalogue, 0, 'sub', 'Hats')
    assert 'Hats' in open_catalogue(catalogue).metainfo['sub_category']
    with pytest.raises(ValueError, match=r"first in row 2: 'Hats' \(1\)"):
        open_catalogue(catalogue, on_rare_class='error')
    dropped = open_catalogue(catalogue, on_rare_class='drop')
    assert len(dropped) == 19
    assert 'Hats' not in dropped.metainfo['sub_category']


def test_an_unknown_category_has_no_class_id(catalogue):
    edit_cell(catalogue, 4, 'kind', 'NA')
    edit_cell(catalogue, 6, 'sub', '')
    dataset = open_catalogue(catalogue)
    record = dataset.get_data_info(4)
    assert (record['main_category'], record['sub_category']) == (-1, 0)
    assert dataset.get_data_info(6)['sub_category'] == -1
    assert dataset.metainfo['main_category'] == ('Bags', 'Shoes')
    assert dataset.table()['main_category'][4].as_py() is None


def test_several_images_and_an_unknown_category(catalogue):
    edit_cell(catalogue, 2, 'image', 'images/2.png|images/3.png')
    edit_cell(catalogue, 2, 'kind', '')
    assert len(open_catalogue(catalogue)) == 21


def test_classes_are_numbered_by_name_wherever_the_rows_are(catalogue):
    """A table in another order gives the same records in the same order."""
    before = open_catalogue(catalogue)
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    table.iloc[::-1].to_csv(catalogue / 'products.csv', index=False)
    after = open_catalogue(catalogue)
    assert before.metainfo == after.metainfo
    for i in range(20):
        first, second = before.get_data_info(i), after.get_data_info(i)
        assert first.pop('row') + second.pop('row') == 23 and first == second


def test_classes_that_a_model_was_trained_with(catalogue):
    dataset = open_catalogue(catalogue, classes=dict(main_category=['Shoes', 'Hats']))
    assert dataset.metainfo['main_category'] == ('Shoes', 'Hats', 'Bags')
    assert dataset.metainfo['main_category_trained'] == 2
    assert dataset.get_data_info(1)['main_category'] == 0
    with pytest.raises(ValueError, match='no main_category of the model is in these data, it has'):
        open_catalogue(catalogue, classes=dict(main_category=['Rings', 'Hats']))


@pytest.mark.parametrize(('name', 'read'), [('split', True), ('SPLIT', True), ('part', False)])
def test_a_column_of_splits_is_read_unless_it_is_null(catalogue, name, read):
    """The packaged configs name no split; a split column has priority over a hash."""
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    # in any case, and by other names
    table[name] = ['Test' if i % 6 == 0 else 'valid' if i % 6 == 1 else 'train' for i in range(20)]
    table.to_csv(catalogue / 'products.csv', index=False)
    settings = dict(data_root=str(catalogue), ann_file='products.csv', caption=CAPTION)
    decided, sources = Catalogue.decide(dict(settings, columns=COLUMNS))
    assert ('split' in decided['columns']) is read
    assert ("the table's own" in sources['columns']) is read
    null = Catalogue.decide(dict(settings, columns=dict(COLUMNS, split=None)))[0]
    assert 'split' not in null['columns']
    if read:
        test = Catalogue(**{**settings, **decided}, split='test')
        assert ids_of(test) == ['0', '6', '12', '18']


def test_a_column_called_split_that_holds_something_else(catalogue, monkeypatch):
    lines = []
    monkeypatch.setattr('mvlt.datasets.columns.print_log', lambda line, *a, **k: lines.append(line))
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    table.assign(split='left').to_csv(catalogue / 'products.csv', index=False)
    assert len(decided_catalogue(catalogue)) == 20
    assert "column 'split' is not read as the split, it holds 'left'; legal: train, val" in lines[0]


def _with_brands(root):
    """Titles of seven brands; the third and the tenth product have none."""
    table = pd.read_csv(root / 'products.csv', dtype=str, keep_default_na=False)
    brands = [f'Brand{chr(65 + i % 7)}' for i in range(20)]
    table['title'] = [f'{brand} Bag {i}' for i, brand in enumerate(brands)]
    table['maker'] = ['NA' if i in (2, 9) else brand for i, brand in enumerate(brands)]
    table.to_csv(root / 'products.csv', index=False)
    return brands


def _expected_split(group):
    share = product_share(group, 0)
    return 'train' if share < 0.4 else 'val' if share < 0.7 else 'test'


@pytest.mark.parametrize(
    'settings',
    [
        dict(split_by='maker'),
        dict(split_by='maker', columns=dict(COLUMNS, split='colour')),  # split_by overrides it
        dict(split_by='tint', attributes=dict(tint='maker')),
        dict(split_by='brand', brand='maker'),
        dict(split_by='brand', brand='caption'),
    ],
)
def test_groups_are_held_out_whole(catalogue, settings):
    brands = _with_brands(catalogue)
    by_caption = settings.get('brand') == 'caption'
    expected = {
        str(i): _expected_split(str(i) if i in (2, 9) and not by_caption else brand.lower())
        for i, brand in enumerate(brands)
    }
    assert len({*expected.values()}) == 3
    for split in ('train', 'val', 'test'):
        dataset = open_catalogue(catalogue, split=split, split_ratios=(0.4, 0.3, 0.3), **settings)
        ids = ids_of(dataset)
        assert sorted(ids, key=int) == [i for i in expected if expected[i] == split]
        if 'brand' in settings:
            for i, product_id in enumerate(ids):
                unknown = not by_caption and product_id in ('2', '9')
                brand = '' if unknown else brands[int(product_id)]
                assert dataset.get_data_info(i)['brand'] == brand


def test_rows_of_a_product_stay_together_even_if_their_groups_differ(catalogue):
    brands = _with_brands(catalogue)
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    table['id'] = [str(i // 4) for i in range(20)]
    table.to_csv(catalogue / 'products.csv', index=False)
    settings = dict(split_by='maker', split_ratios=(0.4, 0.3, 0.3))
    first_images = {str(i // 4): min(f'images/{j}.png' for j in range(20) if j // 4 == i // 4)
                    for i in range(20)}  # fmt: skip
    for split in ('train', 'val', 'test'):
        expected = set()
        for product_id, image in first_images.items():
            row = int(image[7:-4])
            group = product_id if row in (2, 9) else brands[row].lower()
            expected |= {product_id} if _expected_split(group) == split else set()
        try:
            ids = ids_of(open_catalogue(catalogue, split=split, **settings))
        except ValueError:
            ids = []
        assert {*ids} == expected and len(ids) == 4 * len(expected)


def test_the_column_of_brands_is_guessed_by_its_name(catalogue):
    _with_brands(catalogue)
    settings = dict(
        data_root=str(catalogue), ann_file='products.csv', columns=COLUMNS, caption='{title}'
    )
    assert 'brand' not in Catalogue.decide(settings)[0]
    guessed = dict(settings, brand='guess')
    assert Catalogue.decide(guessed)[0]['brand'] == 'caption'
    assert Catalogue.decide(dict(settings, split_by='brand'))[0]['brand'] == 'caption'
    named = dict(guessed, attributes=dict(brand='maker'))
    assert Catalogue.decide(named)[0]['brand'] == 'maker'
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    table.rename(columns=dict(maker='Vendor')).to_csv(catalogue / 'products.csv', index=False)
    assert Catalogue.decide(guessed)[0]['brand'] == 'Vendor'
    with pytest.raises(ValueError, match=r"brand='guess': Catalogue.decide"):
        Catalogue(**guessed)
    with pytest.raises(KeyError, match="has no column 'brand'; it has id, image, title"):
        open_catalogue(catalogue, split_by='brand')
