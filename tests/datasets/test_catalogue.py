"""Contract: any table with named columns becomes records; errors name the row."""

import os

import numpy as np
import pandas as pd
import pytest

from mvlt.datasets import Catalogue, train_tokenizer
from tests.datasets.catalogues import COLUMNS, decided_catalogue, edit_cell, ids_of, open_catalogue


def test_records(catalogue):
    dataset = open_catalogue(catalogue)
    assert len(dataset) == 20
    assert dataset.metainfo['main_category'] == ('Bags', 'Shoes')
    assert dataset.metainfo['sub_category'] == ('Bags 0', 'Bags 1', 'Shoes 0', 'Shoes 1')
    record = dataset.get_data_info(6)
    assert record['caption'] == 'Thing number 6. Red'
    assert record['img_path'] == str((catalogue / 'images/6.png').resolve())
    assert (record['product_id'], record['main_category'], record['sub_category']) == ('6', 0, 1)


def test_captions_omit_missing_values(catalogue):
    assert open_catalogue(catalogue).get_data_info(3)['caption'] == 'Thing number 3'


def test_parquet_is_the_same(catalogue):
    table = pd.read_csv(catalogue / 'products.csv')
    table.to_parquet(catalogue / 'products.parquet')
    assert open_catalogue(catalogue, ann_file='products.parquet').get_data_info(6)['caption'] == (
        'Thing number 6. Red'
    )


def test_unknown_column_lists_the_tables(catalogue):
    with pytest.raises(
        KeyError, match="no column 'colr'; it has id, image, title.*check_dataset.py"
    ):
        open_catalogue(catalogue, caption='{title} {colr}')
    with pytest.raises(KeyError, match="needs 'image'; legal: image"):
        open_catalogue(catalogue, columns=dict(COLUMNS, colour='colour'))


def test_missing_image_names_row_and_path(catalogue):
    (catalogue / 'images/7.png').unlink()
    with pytest.raises(FileNotFoundError, match=r"row 9, column 'image': no image 'images/7\.png'"):
        open_catalogue(catalogue)


@pytest.mark.parametrize('path', ['../secret.png', '/etc/hostname'])
def test_paths_stay_below_data_root(catalogue, path):
    edit_cell(catalogue, 0, 'image', path)
    with pytest.raises(ValueError, match='row 2, .*: image .* lies outside'):
        open_catalogue(catalogue)


def test_empty_caption_names_the_row(catalogue):
    edit_cell(catalogue, 3, 'title', '')
    with pytest.raises(ValueError, match='row 5: the caption is empty'):
        open_catalogue(catalogue)


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
        open_catalogue(catalogue, **change)


def test_a_description_beside_the_table_has_priority_over_the_config(catalogue):
    (catalogue / 'products.json').write_text(
        '{"columns": {"image": "image", "product_id": "id", "sub_category": null},'
        ' "caption": "{colour} {title}"}'
    )
    record = decided_catalogue(
        catalogue, columns=dict(image='nowhere'), caption='{none}'
    ).get_data_info(0)
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
        decided_catalogue(catalogue)


@pytest.mark.parametrize(
    ('column', 'value', 'message'),
    [
        ('id', '', r"row 6: column 'id' \(product_id\)"),
        ('image', '', r"row 6: column 'image' \(image\)"),
    ],
)
def test_empty_cells_that_matter(catalogue, column, value, message):
    edit_cell(catalogue, 4, column, value)
    with pytest.raises(ValueError, match=message):
        open_catalogue(catalogue)


def test_blank_lines_keep_the_numbers_and_commas_too_many_shift_nothing(catalogue):
    path = catalogue / 'products.csv'
    head, *rows = path.read_text().splitlines()
    first, *others = (f'{row},' for row in rows)
    path.write_text('\n'.join([head, first, '', *others, '']) + '\n')
    dataset = open_catalogue(catalogue)
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
        open_catalogue(catalogue)


def test_parquet_with_an_index_of_names(catalogue):
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    table.set_index('id').to_parquet(catalogue / 'products.parquet')
    assert (
        open_catalogue(catalogue, ann_file='products.parquet').get_data_info(6)['product_id'] == '6'
    )


def test_parquet_with_numbers_and_gaps(catalogue):
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    sizes = pd.array([None, *range(1, 20)], dtype='Int64')
    table.assign(size=sizes).to_parquet(catalogue / 'products.parquet')
    dataset = open_catalogue(catalogue, ann_file='products.parquet', caption='{title} {size}')
    assert [dataset.get_data_info(i)['caption'] for i in (0, 1)] == [
        'Thing number 0',
        'Thing number 1 1',
    ]


def test_an_unreadable_image_is_named_with_its_row(catalogue):
    (catalogue / 'images/7.png').write_bytes(b'no image')
    dataset = open_catalogue(catalogue, pipeline=[dict(type='mvlt.LoadImage')])
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
    dataset = decided_catalogue(catalogue, columns='guess', caption='')
    assert not (catalogue / 'products.json').exists()
    with pytest.raises(ValueError, match='decide'):
        open_catalogue(catalogue, columns='guess')
    assert len(dataset) == 20 and dataset.get_data_info(3)['caption'] == 'Thing number 3'
    assert dataset.get_data_info(3)['product_id'] == '3'


def test_only_columns_that_are_needed_are_read(catalogue):
    table = pd.read_csv(catalogue / 'products.csv', dtype=str)
    table['description'] = 'long'
    table['numbers'] = range(len(table))
    table.to_parquet(catalogue / 'products.parquet')
    dataset = open_catalogue(catalogue, ann_file='products.parquet')
    assert set(dataset.data_list.columns) == {'image', 'id', 'kind', 'sub', 'title', 'colour'}
    assert dataset.get_data_info(7) == open_catalogue(catalogue).get_data_info(7)
    (catalogue / 'products.csv').unlink()
    assert open_catalogue(catalogue).get_data_info(7) == dataset.get_data_info(7)


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
    edit_cell(catalogue, 0, 'title', text)
    dataset = open_catalogue(catalogue)
    assert dataset.get_data_info(0)['caption'] == f'{text}. Red'
    tokenizer = train_tokenizer([*dataset.captions()] * 3, tmp_path / 'tokenizer', 400)
    ids = tokenizer.encode(text, 64)
    assert len(ids) > 3 and tokenizer.tokenizer.unk_token_id not in ids


def test_getting_a_record_reads_no_disk_and_draws_nothing(catalogue, monkeypatch):
    dataset = open_catalogue(catalogue, test_mode=True)
    with monkeypatch.context() as patched:
        for name in ('stat', 'lstat', 'listdir', 'scandir', 'readlink'):
            patched.setattr(os, name, None)
        patched.setattr(np.random, 'random', None)
        first, second = dataset.get_data_info(3), dataset.get_data_info(3)
    assert first == second
    assert first['img_path'] == str(catalogue.resolve() / 'images/3.png')


def test_few_incomplete_rows_are_dropped_many_are_an_error(catalogue):
    (catalogue / 'images/7.png').unlink()
    edit_cell(catalogue, 4, 'title', '')
    edit_cell(catalogue, 4, 'colour', '')
    with pytest.raises(ValueError, match='row 6: the caption is empty'):
        open_catalogue(catalogue)
    edit_cell(catalogue, 5, 'title', '')
    with pytest.raises(ValueError, match=r'row 6: the caption .* \(2 of 20 rows\); at most 1'):
        open_catalogue(catalogue, max_missing_ratio=0.05, caption='{title}')
    edit_cell(catalogue, 5, 'title', 'Thing')
    dataset = open_catalogue(catalogue, max_missing_ratio=0.05)
    assert ids_of(dataset) == [str(i) for i in range(20) if i not in (4, 7)]
    edit_cell(catalogue, 9, 'image', 'images/none.png')
    with pytest.raises(ValueError, match=r"row 9: column 'image' \(image\) no image .*\(2 of 19"):
        open_catalogue(catalogue, max_missing_ratio=0.05)
    assert len(open_catalogue(catalogue, max_missing_ratio=0.2)) == 17
    assert (
        len(open_catalogue(catalogue, on_error='skip', allow_empty_caption=True)) == 20
    )  # what a gallery reads


def test_a_row_without_a_image(catalogue):
    edit_cell(catalogue, 4, 'image', '')
    assert '4' not in ids_of(open_catalogue(catalogue, max_missing_ratio=0.05))
    assert '4' not in ids_of(open_catalogue(catalogue, on_error='skip'))


@pytest.fixture
def log_lines(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mvlt.datasets.catalogue_table.print_log', lambda line, *args, **kwargs: lines.append(line)
    )
    return lines


def test_a_row_with_several_images_is_several_records(catalogue, log_lines):
    edit_cell(catalogue, 2, 'image', 'images/2.png|images\\3.PNG')
    dataset = open_catalogue(catalogue)
    assert ids_of(dataset)[:5] == ['0', '1', '2', '2', '3']
    first, second = dataset.get_data_info(2), dataset.get_data_info(3)
    assert (first['row'], second['row']) == (4, 4) and first['caption'] == second['caption']
    assert second['img_path'] == str((catalogue / 'images/3.png').resolve())
    assert len(dataset.table()['title']) == 21
    edit_cell(catalogue, 2, 'image', 'images/2.png|images/none.png')
    assert len(open_catalogue(catalogue, max_missing_ratio=0.0)) == 20  # one image remains
    assert (
        "row 4: no image 'images/none.png'" in log_lines[-1] and '(1 such images)' in log_lines[-1]
    )
    with pytest.raises(FileNotFoundError, match=r"row 4, column 'image': no image 'images/none"):
        open_catalogue(catalogue)


def test_urls_instead_of_images(catalogue):
    edit_cell(catalogue, 2, 'image', 'https://shop.example/2.png')
    with pytest.raises(ValueError, match=r"'image' holds addresses .*fetch_images\.py"):
        open_catalogue(catalogue)


def test_warnings_of_different_products_under_an_id_and_of_equal_rows(catalogue, log_lines):
    open_catalogue(catalogue)
    assert not log_lines
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    for i in range(10):
        table.loc[i, 'id'] = 'A'
    pd.concat([table, table.tail(1)]).to_csv(catalogue / 'products.csv', index=False)
    assert len(open_catalogue(catalogue)) == 21
    assert '1 rows are equal to an earlier one, first row 22' in log_lines[0]
    assert "1 values of column 'id' (product_id) have rows with different captions" in log_lines[1]
    assert "first 'A' in rows 2, 3, 4, 5, 6" in log_lines[1]


def test_html_in_titles(catalogue):
    edit_cell(catalogue, 0, 'title', '<b>Thing</b>&nbsp;&amp; more')
    assert open_catalogue(catalogue).get_data_info(0)['caption'] == 'Thing & more. Red'
    assert (
        open_catalogue(catalogue, clean=False)
        .get_data_info(0)['caption']
        .startswith('<b>Thing</b>&nbsp;')
    )


def test_a_table_is_read_once_and_again_when_it_or_its_images_change(catalogue, monkeypatch):
    reads = []
    original = pd.read_csv
    monkeypatch.setattr(pd, 'read_csv', lambda *a, **k: reads.append(a) or original(*a, **k))
    for split in ('train', 'val', 'test', 'train'):
        open_catalogue(catalogue, split=split, split_ratios=(0.4, 0.3, 0.3))
    assert len(reads) == 1
    (catalogue / 'images/7.png').unlink()
    with pytest.raises(FileNotFoundError, match='row 9'):
        open_catalogue(catalogue)
    assert len(reads) == 2
    edit_cell(catalogue, 0, 'title', 'New')  # reads it once itself
    assert open_catalogue(catalogue, on_error='skip').get_data_info(0)['caption'] == 'New. Red'
