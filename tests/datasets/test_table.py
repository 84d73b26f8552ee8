"""Contract: tables of shops give their cells; errors name the row."""

import json
import subprocess
import sys
import zipfile

import pandas as pd
import pytest

from mvlt.datasets import table
from mvlt.datasets.table import (
    clean_markup,
    column_names,
    find_table,
    layout_of,
    plain_text,
    read_sample,
    read_table,
)

ROWS = [
    {'id': '1', 'title': 'Größe Café, rot', 'price': '29.90'},
    {'id': '2', 'title': 'Kleid "Anna"; blau', 'price': ''},
]


@pytest.fixture
def log_lines(monkeypatch):
    """Lines of the log."""
    lines = []
    monkeypatch.setattr(table, 'print_log', lambda line, *args, **kwargs: lines.append(line))
    return lines


def _csv(separator=',', end='\n'):
    lines = [['id', 'title', 'price'], *(list(row.values()) for row in ROWS)]
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in line] for line in lines]
    return end.join(separator.join(line) for line in quoted)


def _cells(path, **kwargs):
    return read_table(find_table(path), **kwargs).to_dict('records')


@pytest.mark.parametrize('separator', list(',;\t|'))
@pytest.mark.parametrize('end', ['\n', '\r\n'])
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'cp1252'])
def test_text_files(tmp_path, separator, end, encoding, log_lines):
    path = tmp_path / 'products.csv'
    mark = '\ufeff' if encoding == 'utf-16-le' else ''
    path.write_bytes((mark + _csv(separator, end)).encode(encoding))
    assert _cells(path) == ROWS
    assert column_names(path) == ['id', 'title', 'price']
    assert read_sample(path).to_dict('records') == ROWS
    assert all('read as cp1252, not UTF-8' in line for line in log_lines)
    assert bool(log_lines) == (encoding == 'cp1252')


def test_the_line_that_names_the_separator(tmp_path):
    path = tmp_path / 'products.csv'
    path.write_text('sep=;\n' + _csv(';'))
    assert _cells(path) == ROWS
    assert list(read_table(path).index) == [3, 4]  # as a text editor and Excel count


def test_a_given_encoding_has_priority_over_detection(tmp_path):
    path = tmp_path / 'products.csv'
    path.write_bytes('id,title\n1,Красное платье\n'.encode('cp1251'))
    assert _cells(path, encoding='cp1251') == [{'id': '1', 'title': 'Красное платье'}]
    with pytest.raises(ValueError, match=r'products\.csv: .*not utf-8'):
        _cells(path, encoding='utf-8')
    with pytest.raises(ValueError, match='unknown encoding: klingon'):
        _cells(path, encoding='klingon')


@pytest.mark.parametrize(
    ('text', 'encoding'),
    [
        ('Żółta sukienka w kwiaty, długi rękaw i kieszenie', 'cp1250'),
        ('Красное платье с длинным рукавом и карманами', 'cp1251'),
        ('赤いワンピース、長袖、ポケット付きのドレスです', 'shift_jis'),
        ('Crème brûlée – robe d’été', 'cp1252'),
    ],
)
def test_encodings_of_other_languages(tmp_path, log_lines, text, encoding):
    path = tmp_path / 'products.csv'
    path.write_bytes(('id\ttitle\n' + f'1\t{text}\n' * 5).encode(encoding))
    assert _cells(path)[4]['title'] == text


def test_an_encoding_is_found_far_into_a_file(tmp_path):
    path = tmp_path / 'products.csv'
    lines = ['id,title', *(f'{i},plain words of no accent' for i in range(60_000)), '7,Café crème']
    path.write_bytes('\n'.join(lines).encode('cp1252'))
    assert _cells(path)[-1] == {'id': '7', 'title': 'Café crème'}


@pytest.mark.parametrize('suffix', ['.xlsx', '.ods', '.parquet', '.jsonl', '.tsv'])
def test_other_files(tmp_path, suffix):
    """A table of another suffix is found under its usual name."""
    path, frame = tmp_path / f'products{suffix}', pd.DataFrame(ROWS)
    if suffix in ('.xlsx', '.ods'):
        frame.to_excel(path, index=False)
    elif suffix == '.parquet':
        frame.to_parquet(path)
    elif suffix == '.jsonl':
        path.write_text('\n'.join(json.dumps(row) for row in ROWS) + '\n')
    else:
        path.write_text(_csv('\t'))
    assert find_table(tmp_path / 'products.csv') == path
    assert _cells(tmp_path / 'products.csv') == ROWS
    assert column_names(path) == ['id', 'title', 'price']
    assert list(read_table(path).index) == [2, 3]


def test_numbers_of_a_sheet_are_as_they_are_shown(tmp_path):
    path = tmp_path / 'products.xlsx'
    pd.DataFrame(dict(sku=[10012, 10013], price=[29.0, 29.5], title=['a', None])).to_excel(
        path, index=False
    )
    assert _cells(path) == [
        {'sku': '10012', 'price': '29', 'title': 'a'},
        {'sku': '10013', 'price': '29.5', 'title': ''},
    ]


def test_values_of_json_lines(tmp_path):
    path = tmp_path / 'products.jsonl'
    path.write_text('{"id": 1, "images": ["a.jpg", "b.jpg"], "sale": true, "title": null}\n')
    assert _cells(path) == [{'id': '1', 'images': 'a.jpg|b.jpg', 'sale': 'true', 'title': ''}]
    path.write_text('{"id": 1}\n{"id": ')
    with pytest.raises(ValueError, match='line 2 is no JSON'):
        _cells(path)
    path.write_text('[1]')
    with pytest.raises(ValueError, match='line 1: an object is needed'):
        _cells(path)


def test_the_only_table_of_a_folder_is_it(tmp_path):
    (tmp_path / 'export_2026.csv').write_text(_csv())
    assert find_table(tmp_path / 'products.csv').name == 'export_2026.csv'
    (tmp_path / 'prices.csv').write_text(_csv())
    with pytest.raises(FileNotFoundError, match=r'several .*export_2026\.csv, prices\.csv'):
        find_table(tmp_path / 'products.csv')
    with pytest.raises(FileNotFoundError, match='no such table; set data_root'):
        find_table(tmp_path / 'goods.csv')
    (tmp_path / 'notes.txt').write_text('')
    with pytest.raises(ValueError, match='a table is one of .csv, .tsv'):
        find_table(tmp_path / 'notes.txt')


def test_cells_of_megabytes(tmp_path):
    path = tmp_path / 'products.csv'
    path.write_text(f'id,title\n1,"{"long " * 500_000}"\n')
    assert len(_cells(path)[0]['title']) == 5 * 500_000 - 1


def test_too_many_cells_are_refused_too_few_are_logged(tmp_path, log_lines):
    path = tmp_path / 'products.csv'
    path.write_text('id,title,price\n1,a,2\n2,b, c,3\n')
    with pytest.raises(
        ValueError, match="row 3: 4 cells for 3 columns; put texts that contain ','"
    ):
        _cells(path)
    path.write_text('id,title,price\n1,a,2\n2,b\n')
    assert _cells(path)[1] == {'id': '2', 'title': 'b', 'price': ''}
    assert '1 rows have fewer cells than the 3 columns, first row 3' in log_lines[0]


def test_what_is_no_table(tmp_path):
    path = tmp_path / 'products.csv'
    path.write_text('id,title\n1,"never closed\n2,b\n')
    with pytest.raises(ValueError, match='a double quote not closed'):
        _cells(path)
    path.write_text('id,title,id\n1,a,2\n')
    with pytest.raises(ValueError, match='several columns are called id'):
        _cells(path)
    path.write_text('')
    with pytest.raises(ValueError, match='cannot be read as a table'):
        _cells(path)
    (tmp_path / 'a.xlsx').write_bytes(b'no sheet')
    (tmp_path / 'a.parquet').write_bytes(b'no table')
    for name in ('a.xlsx', 'a.parquet'):
        with pytest.raises(ValueError, match=f'{name}: cannot be read as a table'):
            _cells(tmp_path / name)


def test_markup(log_lines):
    frame = pd.DataFrame(
        dict(
            text=['<p>Red&nbsp;shoe</p><ul><li>soft</li></ul>', 'A &amp; B', '5 < 6 & 7'],
            kept=['<b>', '', ''],
        )
    )
    cleaned = clean_markup(frame, ['text'], 'here')
    assert list(cleaned['text']) == ['Red shoe soft', 'A & B', '5 < 6 & 7']
    assert list(cleaned['kept']) == ['<b>', '', '']
    assert "removed HTML from 'text' (2 cells)" in log_lines[0]


@pytest.mark.parametrize(
    ('marked', 'plain'),
    [
        ('<style>p {color: red}</style>a<br>b', 'a b'),
        ('a<script>alert(1)</script>', 'a'),
        ('Gr&ouml;&szlig;e &#8211; 4', 'Größe – 4'),
        ('<p>never closed', 'never closed'),
    ],
)
def test_plain_text(marked, plain):
    assert plain_text(marked) == plain


def test_layout(tmp_path):
    """Texts with many commas do not hide the separator."""
    path = tmp_path / 'a.csv'
    path.write_text('id;title\n1;a, b, c\n2;d, e\n3;f\n')
    assert layout_of(path).separator == ';'
    path.write_text('image\na.jpg\nb.jpg\n')
    assert layout_of(path).separator == ',' and column_names(path) == ['image']


def test_a_json_list_is_no_description(tmp_path):
    """The message has a command that makes a table of it, and it works."""
    (tmp_path / 'products.json').write_text('{"caption": "{title}"}')
    with pytest.raises(FileNotFoundError, match='set data_root .* and ann_file$'):
        find_table(tmp_path / 'products.csv')
    pd.DataFrame(ROWS).to_json(tmp_path / 'goods.json', orient='records')
    with pytest.raises(FileNotFoundError, match=r"Is it goods.json\? .*read_json\('goods.json'\)"):
        find_table(tmp_path / 'products.csv')
    with pytest.raises(ValueError, match=r"one of .csv.*read_json\('goods.json'\)") as caught:
        find_table(tmp_path / 'goods.json')
    code = str(caught.value).split('python -c ')[1].strip('"')
    subprocess.run([sys.executable, '-c', code], cwd=tmp_path, check=True)
    assert [row['title'] for row in _cells(tmp_path / 'products.jsonl')] == [
        row['title'] for row in ROWS
    ]


def test_a_spreadsheet_that_would_fill_the_memory(tmp_path):
    openpyxl = pytest.importorskip('openpyxl')
    book = openpyxl.Workbook()
    book.active['A1'] = 'id'
    book.active['XFD1048576'] = 1  # a reader fills 17 thousand million cells
    book.save(tmp_path / 'products.xlsx')
    with pytest.raises(ValueError, match=r'1,048,576 rows of 16,384 columns up to its last cell'):
        read_table(tmp_path / 'products.xlsx')
    with zipfile.ZipFile(tmp_path / 'products.xlsx', 'a', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('xl/sharedStrings.xml', bytes(600_000_000))
    with pytest.raises(ValueError, match=r'MB unpacked, more than 500: save the sheet as CSV'):
        read_table(tmp_path / 'products.xlsx')
