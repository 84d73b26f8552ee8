"""Contract: any table with named columns becomes records; errors name the row."""

import os

import numpy as np
import pandas as pd
import pytest

from mvlt.datasets import Catalogue, train_tokenizer

COLUMNS = dict(image='image', product_id='id', main_category='kind', sub_category='sub')
CAPTION = '{title}. {colour}'


def _open(root, **kwargs):
    defaults = dict(ann_file='products.csv', columns=COLUMNS, caption=CAPTION, split='all')
    return Catalogue(data_root=str(root), **{**defaults, **kwargs})


def _decided(root, **kwargs):
    settings = dict(data_root=str(root), ann_file='products.csv', columns=COLUMNS, caption=CAPTION)
    settings |= kwargs
    return Catalogue(**{**settings, **Catalogue.decide(settings)[0]}, split='all')


def _edit(root, row: int, column: str, value: str):
    table = pd.read_csv(root / 'products.csv', dtype=str, keep_default_na=False)
    table.loc[row, column] = value
    table.to_csv(root / 'products.csv', index=False)


def test_records(catalogue):
    dataset = _open(catalogue)
    assert len(dataset) == 20
    assert dataset.metainfo['main_category'] == ('Bags', 'Shoes')
    assert dataset.metainfo['sub_category'] == ('Bags 0', 'Bags 1', 'Shoes 0', 'Shoes 1')
    record = dataset.get_data_info(6)
    assert record['caption'] == 'Thing number 6. Red'
    assert record['img_path'] == str((catalogue / 'images/6.png').resolve())
    assert (record['product_id'], record['main_category'], record['sub_category']) == ('6', 0, 1)


def test_captions_omit_missing_values(catalogue):
    assert _open(catalogue).get_data_info(3)['caption'] == 'Thing number 3'


def test_parquet_is_the_same(catalogue):
    table = pd.read_csv(catalogue / 'products.csv')
    table.to_parquet(catalogue / 'products.parquet')
    assert _open(catalogue, ann_file='products.parquet').get_data_info(6)['caption'] == (
        'Thing number 6. Red'
    )


def test_splits_are_disjoint_complete_and_stable(catalogue):
    ids_of = {}
    for split in ('train', 'val', 'test'):
        dataset = _open(catalogue, split=split, split_ratios=(0.5, 0.3, 0.2))
        ids_of[split] = [dataset.get_data_info(i)['product_id'] for i in range(len(dataset))]
    everything = [product for products in ids_of.values() for product in products]
    assert sorted(everything, key=int) == [str(i) for i in range(20)]
    # another row does not move the rest
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    extra = table.iloc[:1].assign(id='777')
    pd.concat([extra, table]).to_csv(catalogue / 'products.csv', index=False)
    again = _open(catalogue, split='train', split_ratios=(0.5, 0.3, 0.2))
    ids = [again.get_data_info(i)['product_id'] for i in range(len(again))]
    assert [i for i in ids if i != '777'] == ids_of['train']


def test_images_of_a_product_share_a_split(catalogue):
    table = pd.read_csv(catalogue / 'products.csv', dtype=str)
    table['id'] = [str(i // 4) for i in range(20)]
    table.to_csv(catalogue / 'products.csv', index=False)
    sides = {}
    for split in ('train', 'val', 'test'):
        try:
            dataset = _open(catalogue, split=split, split_ratios=(0.4, 0.3, 0.3))
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
    assert len(_open(catalogue, columns=dict(COLUMNS, split='part'), split='test')) == 4
    _edit(catalogue, 2, 'part', 'tset')
    with pytest.raises(ValueError, match="row 4: split 'tset'; legal: train, val, test"):
        _open(catalogue, columns=dict(COLUMNS, split='part'), split='test')


def test_unknown_column_lists_the_tables(catalogue):
    with pytest.raises(
        KeyError, match="no column 'colr'; it has id, image, title.*check_dataset.py"
    ):
        _open(catalogue, caption='{title} {colr}')
    with pytest.raises(KeyError, match="needs 'image'; legal: image"):
        _open(catalogue, columns=dict(COLUMNS, colour='colour'))


def test_missing_image_names_row_and_path(catalogue):
    (catalogue / 'images/7.png').unlink()
    with pytest.raises(FileNotFoundError, match=r"row 9, column 'image': no image 'images/7\.png'"):
        _open(catalogue)


@pytest.mark.parametrize('path', ['../secret.png', '/etc/hostname'])
def test_paths_stay_below_data_root(catalogue, path):
    _edit(catalogue, 0, 'image', path)
    with pytest.raises(ValueError, match='row 2, .*: image .* lies outside'):
        _open(catalogue)


def test_empty_caption_names_the_row(catalogue):
    _edit(catalogue, 3, 'title', '')
    with pytest.raises(ValueError, match='row 5: the caption is empty'):
        _open(catalogue)


def test_rare_categories(catalogue, caplog):
    _edit(catalogue, 0, 'sub', 'Hats')
    assert 'Hats' in _open(catalogue).metainfo['sub_category']
    with pytest.raises(ValueError, match=r"first in row 2: 'Hats' \(1\)"):
        _open(catalogue, on_rare_class='error')
    dropped = _open(catalogue, on_rare_class='drop')
    assert len(dropped) == 19
    assert 'Hats' not in dropped.metainfo['sub_category']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(ann_file='none.csv'), 'no such table'),
        (dict(ann_file='images/3.png'), 'a table is one of .csv'),
        (dict(split='tests'), "split='tests'; legal"),
        (dict(split_ratios=(0.8, 0.1)), 'three shares'),
        (dict(split_ratios=(0.8, 0.1, 0.3)), 'three shares'),
        (dict(on_rare_class='ignore'), "on_rare_class='ignore'; legal"),
        (dict(caption='{title'), 'caption template'),
    ],
)
def test_wrong_arguments(catalogue, change, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        _open(catalogue, **change)


def test_a_description_beside_the_table_has_priority_over_the_config(catalogue):
    (catalogue / 'products.json').write_text(
        '{"columns": {"image": "image", "product_id": "id", "sub_category": null},'
        ' "caption": "{colour} {title}"}'
    )
    record = _decided(catalogue, columns=dict(image='nowhere'), caption='{none}').get_data_info(0)
    assert record['caption'] == 'Red Thing number 0' and 'sub_category' not in record


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"columns": {"picture": "image"}}', "products.json: columns needs 'image'"),
        ('{"column": {}}', 'is needed, no other key'),
        ('[]', 'attributes, caption, columns, caption_templates is needed'),
        ('{', 'no JSON'),
    ],
)
def test_a_bad_description(catalogue, text, message):
    (catalogue / 'products.json').write_text(text)
    with pytest.raises((KeyError, ValueError), match=message):
        _decided(catalogue)


@pytest.mark.parametrize(
    ('column', 'value', 'message'),
    [
        ('id', '', r"row 6: column 'id' \(product_id\)"),
        ('image', '', r"row 6: column 'image' \(image\)"),
    ],
)
def test_empty_cells_that_matter(catalogue, column, value, message):
    _edit(catalogue, 4, column, value)
    with pytest.raises(ValueError, match=message):
        _open(catalogue)


def test_blank_lines_keep_the_numbers_and_commas_too_many_shift_nothing(catalogue):
    path = catalogue / 'products.csv'
    head, *rows = path.read_text().splitlines()
    first, *others = (f'{row},' for row in rows)
    path.write_text('\n'.join([head, first, '', *others, '']) + '\n')
    dataset = _open(catalogue)
    assert len(dataset) == 20
    record = dataset.get_data_info(1)
    assert (record['caption'], record['row']) == ('Thing number 1. Red', 4)


def test_a_comma_in_an_unquoted_text_is_refused(catalogue):
    path = catalogue / 'products.csv'
    head, first, *others = path.read_text().splitlines()
    path.write_text('\n'.join([head, first.replace('Thing', 'Thing,'), *others]))
    with pytest.raises(
        ValueError, match="row 2: 7 cells for 6 columns; put texts that contain ','"
    ):
        _open(catalogue)


def test_parquet_with_an_index_of_names(catalogue):
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    table.set_index('id').to_parquet(catalogue / 'products.parquet')
    assert _open(catalogue, ann_file='products.parquet').get_data_info(6)['product_id'] == '6'


def test_parquet_with_numbers_and_gaps(catalogue):
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    sizes = pd.array([None, *range(1, 20)], dtype='Int64')
    table.assign(size=sizes).to_parquet(catalogue / 'products.parquet')
    dataset = _open(catalogue, ann_file='products.parquet', caption='{title} {size}')
    assert [dataset.get_data_info(i)['caption'] for i in (0, 1)] == [
        'Thing number 0',
        'Thing number 1 1',
    ]


def test_an_unreadable_image_is_named_with_its_row(catalogue):
    (catalogue / 'images/7.png').write_bytes(b'no image')
    dataset = _open(catalogue, pipeline=[dict(type='mvlt.LoadImage')])
    with pytest.raises(OSError, match=r'products\.csv, row 9: .*7\.png: unreadable image'):
        dataset[7]


def test_attributes_and_caption_templates(tmp_path):
    """Training's classes by name; unknown is -1 and not in captions; new classes follow."""
    (tmp_path / '1.png').write_bytes(b'')
    (tmp_path / 'products.csv').write_text(
        'image,title,kind,tint,split\n'
        '1.png,a red shoe,Shoe,Red,train\n1.png,a shoe,Shoe,NA,train\n'
        '1.png,a hat,Hat,Blue,train\n1.png,a new hat,Hat,Pink,test\n'
    )
    settings = dict(
        data_root=str(tmp_path),
        ann_file='products.csv',
        columns=dict(image='image', sub_category='kind', split='split'),
        caption='{title}',
        attributes=dict(colour='tint'),
        caption_templates=('{tint} {kind}', '{tint}'),
    )
    train = Catalogue(**settings, split='train')
    assert train.metainfo['colour'] == ('Blue', 'Red') and train.metainfo['colour_trained'] == 2
    by_title = {record['caption']: record for record in map(train.get_data_info, range(3))}
    red, plain, hat = (by_title[title] for title in ('a red shoe', 'a shoe', 'a hat'))
    assert [record['colour'] for record in (red, plain, hat)] == [1, -1, 0]
    assert red['attributes'] == ('colour',)
    assert red['other_captions'] == ('Red Shoe', 'Red')
    assert plain['other_captions'] == ('Shoe',)
    # the columns that a template reads, whatever its words are
    assert red['other_caption_keys'] == ('kind=shoe\x1ftint=red', 'tint=red')
    assert plain['other_caption_keys'] == ('kind=shoe',)
    test = Catalogue(**settings, split='test')
    assert test.metainfo['colour'] == ('Blue', 'Red', 'Pink')
    assert test.metainfo['colour_trained'] == 2 and test.get_data_info(0)['colour'] == 2


def test_a_guessed_catalogue(catalogue):
    dataset = _decided(catalogue, columns='guess', caption='')
    assert not (catalogue / 'products.json').exists()
    with pytest.raises(ValueError, match='decide'):
        _open(catalogue, columns='guess')
    assert len(dataset) == 20 and dataset.get_data_info(3)['caption'] == 'Thing number 3'
    assert dataset.get_data_info(3)['product_id'] == '3'


def test_only_columns_that_are_needed_are_read(catalogue):
    table = pd.read_csv(catalogue / 'products.csv', dtype=str)
    table['description'] = 'long'
    table['numbers'] = range(len(table))
    table.to_parquet(catalogue / 'products.parquet')
    dataset = _open(catalogue, ann_file='products.parquet')
    assert set(dataset.data_list.columns) == {'image', 'id', 'kind', 'sub', 'title', 'colour'}
    assert dataset.get_data_info(7) == _open(catalogue).get_data_info(7)
    (catalogue / 'products.csv').unlink()
    assert _open(catalogue).get_data_info(7) == dataset.get_data_info(7)


@pytest.mark.parametrize(
    'text',
    [
        'Größe Übergröße Kleid',
        'Κόκκινο φόρεμα',
        'Красное платье',
        '赤いドレス',
        '红色连衣裙',
        'فستان أحمر',
        'लाल पोशाक',
        '빨간 드레스',
    ],
)
def test_captions_of_other_languages_have_tokens(catalogue, text, tmp_path):
    """A tokenizer trained on them has their letters; nothing becomes [UNK]."""
    _edit(catalogue, 0, 'title', text)
    dataset = _open(catalogue)
    assert dataset.get_data_info(0)['caption'] == f'{text}. Red'
    tokenizer = train_tokenizer([*dataset.captions()] * 3, tmp_path / 'tokenizer', 400)
    ids = tokenizer.encode(text, 64)
    assert len(ids) > 3 and tokenizer.tokenizer.unk_token_id not in ids


def test_getting_a_record_reads_no_disk_and_draws_nothing(catalogue, monkeypatch):
    dataset = _open(catalogue, test_mode=True)
    with monkeypatch.context() as patched:
        for name in ('stat', 'lstat', 'listdir', 'scandir', 'readlink'):
            patched.setattr(os, name, None)
        patched.setattr(np.random, 'random', None)
        first, second = dataset.get_data_info(3), dataset.get_data_info(3)
    assert first == second
    assert first['img_path'] == str(catalogue.resolve() / 'images/3.png')


def _ids(dataset):
    return [dataset.get_data_info(i)['product_id'] for i in range(len(dataset))]


def test_few_incomplete_rows_are_dropped_many_are_an_error(catalogue):
    (catalogue / 'images/7.png').unlink()
    _edit(catalogue, 4, 'title', '')
    _edit(catalogue, 4, 'colour', '')
    with pytest.raises(ValueError, match='row 6: the caption is empty'):
        _open(catalogue)
    _edit(catalogue, 5, 'title', '')
    with pytest.raises(ValueError, match=r'row 6: the caption .* \(2 of 20 rows\); at most 1'):
        _open(catalogue, max_missing_ratio=0.05, caption='{title}')
    _edit(catalogue, 5, 'title', 'Thing')
    dataset = _open(catalogue, max_missing_ratio=0.05)
    assert _ids(dataset) == [str(i) for i in range(20) if i not in (4, 7)]
    _edit(catalogue, 9, 'image', 'images/none.png')
    with pytest.raises(ValueError, match=r"row 9: column 'image' \(image\) no image .*\(2 of 19"):
        _open(catalogue, max_missing_ratio=0.05)
    assert len(_open(catalogue, max_missing_ratio=0.2)) == 17
    assert (
        len(_open(catalogue, on_error='skip', allow_empty_caption=True)) == 20
    )  # what a gallery reads


def test_a_row_without_a_image(catalogue):
    _edit(catalogue, 4, 'image', '')
    assert '4' not in _ids(_open(catalogue, max_missing_ratio=0.05))
    assert '4' not in _ids(_open(catalogue, on_error='skip'))


def test_an_unknown_category_has_no_class_id(catalogue):
    _edit(catalogue, 4, 'kind', 'NA')
    _edit(catalogue, 6, 'sub', '')
    dataset = _open(catalogue)
    record = dataset.get_data_info(4)
    assert (record['main_category'], record['sub_category']) == (-1, 0)
    assert dataset.get_data_info(6)['sub_category'] == -1
    assert dataset.metainfo['main_category'] == ('Bags', 'Shoes')
    assert dataset.table()['main_category'][4].as_py() is None


@pytest.fixture
def log_lines(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mvlt.datasets.catalogue_table.print_log', lambda line, *args, **kwargs: lines.append(line)
    )
    return lines


def test_a_row_with_several_images_is_several_records(catalogue, log_lines):
    _edit(catalogue, 2, 'image', 'images/2.png|images\\3.PNG')
    dataset = _open(catalogue)
    assert _ids(dataset)[:5] == ['0', '1', '2', '2', '3']
    first, second = dataset.get_data_info(2), dataset.get_data_info(3)
    assert (first['row'], second['row']) == (4, 4) and first['caption'] == second['caption']
    assert second['img_path'] == str((catalogue / 'images/3.png').resolve())
    assert len(dataset.table()['title']) == 21
    _edit(catalogue, 2, 'image', 'images/2.png|images/none.png')
    assert len(_open(catalogue, max_missing_ratio=0.0)) == 20  # one image remains
    assert (
        "row 4: no image 'images/none.png'" in log_lines[-1] and '(1 such images)' in log_lines[-1]
    )
    with pytest.raises(FileNotFoundError, match=r"row 4, column 'image': no image 'images/none"):
        _open(catalogue)


def test_urls_instead_of_images(catalogue):
    _edit(catalogue, 2, 'image', 'https://shop.example/2.png')
    with pytest.raises(ValueError, match=r"'image' holds addresses .*fetch_images\.py"):
        _open(catalogue)


def test_warnings_of_different_products_under_an_id_and_of_equal_rows(catalogue, log_lines):
    _open(catalogue)
    assert not log_lines
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    for i in range(10):
        table.loc[i, 'id'] = 'A'
    pd.concat([table, table.tail(1)]).to_csv(catalogue / 'products.csv', index=False)
    assert len(_open(catalogue)) == 21
    assert '1 rows are equal to an earlier one, first row 22' in log_lines[0]
    assert "1 values of column 'id' (product_id) have rows with different captions" in log_lines[1]
    assert "first 'A' in rows 2, 3, 4, 5, 6" in log_lines[1]


def test_html_in_titles(catalogue):
    _edit(catalogue, 0, 'title', '<b>Thing</b>&nbsp;&amp; more')
    assert _open(catalogue).get_data_info(0)['caption'] == 'Thing & more. Red'
    assert (
        _open(catalogue, clean=False).get_data_info(0)['caption'].startswith('<b>Thing</b>&nbsp;')
    )


def test_several_images_and_an_unknown_category(catalogue):
    _edit(catalogue, 2, 'image', 'images/2.png|images/3.png')
    _edit(catalogue, 2, 'kind', '')
    assert len(_open(catalogue)) == 21


def test_classes_are_numbered_by_name_wherever_the_rows_are(catalogue):
    """A table in another order gives the same records in the same order."""
    before = _open(catalogue)
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    table.iloc[::-1].to_csv(catalogue / 'products.csv', index=False)
    after = _open(catalogue)
    assert before.metainfo == after.metainfo
    for i in range(20):
        first, second = before.get_data_info(i), after.get_data_info(i)
        assert first.pop('row') + second.pop('row') == 23 and first == second


def test_classes_that_a_model_was_trained_with(catalogue):
    dataset = _open(catalogue, classes=dict(main_category=['Shoes', 'Hats']))
    assert dataset.metainfo['main_category'] == ('Shoes', 'Hats', 'Bags')
    assert dataset.metainfo['main_category_trained'] == 2
    assert dataset.get_data_info(1)['main_category'] == 0
    with pytest.raises(ValueError, match='no main_category of the model is in these data, it has'):
        _open(catalogue, classes=dict(main_category=['Rings', 'Hats']))


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
        assert _ids(test) == ['0', '6', '12', '18']


def test_a_column_called_split_that_holds_something_else(catalogue, monkeypatch):
    lines = []
    monkeypatch.setattr('mvlt.datasets.columns.print_log', lambda line, *a, **k: lines.append(line))
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    table.assign(split='left').to_csv(catalogue / 'products.csv', index=False)
    assert len(_decided(catalogue)) == 20
    assert "column 'split' is not read as the split, it holds 'left'; legal: train, val" in lines[0]


def test_a_table_is_read_once_and_again_when_it_or_its_images_change(catalogue, monkeypatch):
    reads = []
    original = pd.read_csv
    monkeypatch.setattr(pd, 'read_csv', lambda *a, **k: reads.append(a) or original(*a, **k))
    for split in ('train', 'val', 'test', 'train'):
        _open(catalogue, split=split, split_ratios=(0.4, 0.3, 0.3))
    assert len(reads) == 1
    (catalogue / 'images/7.png').unlink()
    with pytest.raises(FileNotFoundError, match='row 9'):
        _open(catalogue)
    assert len(reads) == 2
    _edit(catalogue, 0, 'title', 'New')  # reads it once itself
    assert _open(catalogue, on_error='skip').get_data_info(0)['caption'] == 'New. Red'
