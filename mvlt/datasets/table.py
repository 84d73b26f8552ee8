"""Reads tables as shops export them: all cells as text, from any file type."""

import codecs
import csv
import html
import json
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from charset_normalizer import from_bytes
from mmengine.logging import print_log
from pyarrow import parquet

from mvlt.datasets.spreadsheet import read_sheet

TEXTS = ('.csv', '.tsv')
SHEETS = ('.xlsx', '.xls', '.ods')
SUFFIXES = (*TEXTS, '.parquet', '.jsonl', *SHEETS)
# .json is not among them: such a file beside a table describes its columns
_LIST = (
    'A JSON list becomes a table by '
    "python -c \"import pandas; pandas.read_json('{0}').to_json('products.jsonl', "
    "orient='records', lines=True)\""
)
_SEPARATORS = ',;\t|'
_SAMPLE = 200  # rows to detect separator and columns by
_BLOCK = 1 << 20  # bytes
# encodings that shops' programs use besides UTF: Western, Central European, and more, which
# charset_normalizer distinguishes
_WESTERN, _CENTRAL = 'cp1252', 'cp1250'
_OTHERS = ('cp1251', 'cp1253', 'cp1255', 'cp1256', 'shift_jis', 'gb18030', 'big5', 'euc_kr')
# Polish and similar text, decoded as Western, has symbols within words
_SIGN_IN_WORD = re.compile('[^\\W\\d_][\u00a1-\u00bf\u00d7\u00f7][^\\W\\d_]')
_MARKUP = r'</?[a-zA-Z][^<>]*>|&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]\w+);'


class Layout(NamedTuple):
    """Layout of a text file; Excel may name the separator in a line that is ``skipped``."""

    encoding: str
    separator: str
    skipped: int


def find_table(path: str | Path) -> Path:
    """Path of a table: the file, or its name with another suffix, or the folder's only table.

    Raises:
        FileNotFoundError: no such table.
        ValueError: a file of another type.
    """
    path = Path(path)
    if not path.is_file():
        near = [file for s in SUFFIXES if (file := path.with_suffix(s)).is_file()]
        folder = path.parent
        if not near and folder.is_dir() and path.stem == 'products':
            near = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
            if len(near) > 1:
                names = ', '.join(file.name for file in near)
                raise FileNotFoundError(
                    f'{path}: no such table, but several others ({names}): name one (ann_file)'
                )
        if not near:
            lists = [file for file in sorted(folder.glob('*.json')) if _starts_a_list(file)]
            raise FileNotFoundError(
                f'{path}: no such table; set data_root (--data-root) and ann_file'
                + (f'. Is it {lists[0].name}? {_LIST.format(lists[0].name)}' if lists else '')
            )
        path = near[0]
    if path.suffix.lower() not in SUFFIXES:
        remedy = f'. {_LIST.format(path.name)}' if path.suffix.lower() == '.json' else ''
        raise ValueError(f'{path}: a table is one of {", ".join(SUFFIXES)}{remedy}')
    return path


def _starts_a_list(path: Path) -> bool:
    with path.open('rb') as file:
        return file.read(64).lstrip().startswith(b'[')


def column_names(path: Path, encoding: str | None = None) -> list[str]:
    """Column names of a table in order; ValueError if unreadable or not unique."""
    suffix = path.suffix.lower()
    with _reading(path):
        if suffix == '.parquet':
            names = parquet.read_schema(path).names
            return [name for name in names if not name.startswith('__index')]
        if suffix not in TEXTS:
            return list(_read(path, encoding))
        with _lines(path, layout_of(path, encoding)) as lines:
            names = [name.strip() for name in next(lines, [])]
        while names and not names[-1]:
            names.pop()  # separators at the end of the header
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f'several columns are called {", ".join(sorted(twice))}; rename them')
        return names


def read_table(
    path: Path, columns: Sequence[str] | None = None, encoding: str | None = None
) -> pd.DataFrame:
    """Stripped cells as text, '' if empty; the index counts rows as a spreadsheet does.

    Empty rows are dropped.

    Args:
        path: of :func:`find_table`.
        columns: names of columns to read; None = all.
        encoding: of a text file; None detects it.

    Raises:
        ValueError: an unreadable table, or a row with more cells than columns.
    """
    with _reading(path):
        table = _read(path, encoding, columns)
    table = table.apply(lambda cells: cells.str.strip())
    return table[(table != '').any(axis=1)]


def read_sample(path: Path, encoding: str | None = None) -> pd.DataFrame:
    """The first rows of a table; ValueError if it is unreadable."""
    with _reading(path):
        if path.suffix.lower() in TEXTS:
            table = _read_text(path, layout_of(path, encoding), None, _SAMPLE)
        else:
            table = _read(path, encoding).head(_SAMPLE)
    return table.apply(lambda cells: cells.str.strip())


def clean_markup(table: pd.DataFrame, columns: Sequence[str], source: str) -> pd.DataFrame:
    """A table without HTML in ``columns``: tags become blanks, ``&amp;`` a letter; logged."""
    counts: dict[str, int] = {}
    for name in columns:
        marked = table[name].str.contains(_MARKUP)
        if marked.any():
            table = table.assign(
                **{name: table[name].where(~marked, table[name][marked].map(plain_text))}
            )
            counts[name] = int(marked.sum())
    if counts:
        listed = ', '.join(f"'{name}' ({count} cells)" for name, count in counts.items())
        print_log(f'{source}: removed HTML from {listed}; keep it with clean=False', 'current')
    return table


def plain_text(marked: str) -> str:
    """A text without tags and entities."""
    parser = _Text()
    parser.feed(html.unescape(marked) if '<' not in marked else marked)
    parser.close()
    return ' '.join(' '.join(parser.parts).split())


def layout_of(path: Path, encoding: str | None = None) -> Layout:
    """Detect the layout of a text file; LookupError or ValueError for a wrong ``encoding``."""
    if encoding is None:
        stat = path.stat()
        encoding = _encoding(path, stat.st_mtime_ns, stat.st_size)
    with open(path, encoding=encoding, newline='') as file:
        try:
            first = file.readline()
        except UnicodeError as error:
            raise ValueError(f'not {encoding} ({error}): name its encoding') from error
    named = re.fullmatch(r'"?sep=(.)"?', first.strip('\r\n'), re.IGNORECASE)
    if named:
        return Layout(encoding, named[1], 1)
    if path.suffix.lower() == '.tsv':
        return Layout(encoding, '\t', 0)
    best = (0.0, 0, ',')
    for separator in _SEPARATORS:
        with _lines(path, Layout(encoding, separator, 0)) as lines:
            counts = [len(cells) for cells in islice(lines, _SAMPLE) if cells]
        if counts and counts[0] > 1:
            same = sum(count == counts[0] for count in counts) / len(counts)
            best = max(best, (same, counts[0], separator))
    return Layout(encoding, best[2], 0)


@lru_cache(64)
def _encoding(path: Path, changed: int, size: int) -> str:  # cached: one log line for each file
    """Encoding of a text file; logged unless it is UTF."""
    with open(path, 'rb') as file:
        start = file.read(4)
        for mark, name in (
            (codecs.BOM_UTF8, 'utf-8-sig'),
            (codecs.BOM_UTF16_LE, 'utf-16'),
            (codecs.BOM_UTF16_BE, 'utf-16'),
        ):
            if start.startswith(mark):
                return name
        file.seek(0)
        decoder = codecs.getincrementaldecoder('utf-8')()
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b'', final=True)
            return 'utf-8'
        except UnicodeDecodeError:
            pass
        file.seek(0)
        accented = (line for line in file if not line.isascii())
        sample = b''.join(islice(accented, _SAMPLE))[:_BLOCK]
    words = [word for word in sample.split() if not word.isascii()]
    accents = sum(byte > 127 for word in words for byte in word)
    if accents < sum(map(len, words)) / 2:  # few accents among plain letters
        western = sample.decode(_WESTERN, 'replace')
        encoding = _CENTRAL if '\ufffd' in western or _SIGN_IN_WORD.search(western) else _WESTERN
    else:
        match = from_bytes(sample, cp_isolation=[*_OTHERS]).best()
        encoding = match.encoding if match is not None else _WESTERN
    print_log(f"{path}: read as {encoding}, not UTF-8; if wrong, set encoding='...'", 'current')
    return encoding


@contextmanager
def _lines(path: Path, layout: Layout) -> Iterator[Iterator[list[str]]]:
    """Cells of each row, header first, of any size."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        with open(path, encoding=layout.encoding, newline='') as file:
            for _ in range(layout.skipped):
                file.readline()
            yield csv.reader(file, delimiter=layout.separator)
    finally:
        csv.field_size_limit(before)


def _read(path: Path, encoding: str | None, columns: Sequence[str] | None = None) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if suffix in TEXTS:
        return _read_text(path, layout_of(path, encoding), columns)
    if suffix == '.parquet':
        table = pd.read_parquet(path, columns=None if columns is None else list(columns))
        table = table.reset_index(drop=table.index.name is None)
        table = table.astype(str).where(table.notna(), '')
    elif suffix == '.jsonl':
        table = _read_json_lines(path, encoding)
    else:
        table = read_sheet(path)
    table.columns = [str(name).strip() for name in table.columns]
    table.index = range(2, len(table) + 2)
    return table if columns is None else table[list(columns)]


def _read_text(
    path: Path, layout: Layout, columns: Sequence[str] | None, rows: int | None = None
) -> pd.DataFrame:
    names = column_names(path, layout.encoding)
    _count_cells(path, layout, len(names), rows)
    with warnings.catch_warnings():  # separators at the end of rows are harmless
        warnings.simplefilter('ignore', pd.errors.ParserWarning)
        table = pd.read_csv(
            path,
            sep=layout.separator,
            dtype=str,
            header=None,
            names=names,
            skiprows=layout.skipped + 1,
            usecols=None if columns is None else list(dict.fromkeys(columns)),
            keep_default_na=False,
            encoding=layout.encoding,
            index_col=False,  # such separators shift no column
            skip_blank_lines=False,  # or rows would be numbered wrongly
            nrows=rows,
        ).fillna('')
    table.index = range(2 + layout.skipped, len(table) + 2 + layout.skipped)
    return table if columns is None else table[list(columns)]


def _count_cells(path: Path, layout: Layout, columns: int, rows: int | None) -> None:
    """Refuse rows with too many cells; warn of rows with too few unless ``rows`` limits them."""
    few: list[int] = []
    with _lines(path, layout) as lines:
        next(lines, None)
        for row, cells in enumerate(islice(lines, rows), 2 + layout.skipped):
            if any(cells[columns:]):
                raise ValueError(
                    f'row {row}: {len(cells)} cells for {columns} columns; put texts that contain '
                    f'{layout.separator!r} in double quotes'
                )
            if 0 < len(cells) < columns:
                few.append(row)
    if few and rows is None:
        print_log(
            f'{path}: {len(few)} rows have fewer cells than the {columns} columns, first row '
            f'{few[0]}; missing cells are unknown. Does a text with a line break lack double '
            'quotes?',
            'current',
            level=30,
        )


def _read_json_lines(path: Path, encoding: str | None) -> pd.DataFrame:
    """One object a line; lists become ``a|b``."""
    rows = []
    with open(path, encoding=encoding or 'utf-8-sig') as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line) if line.strip() else {}
            except ValueError as error:
                raise ValueError(f'line {number} is no JSON ({error})') from error
            if not isinstance(row, dict):
                raise ValueError(f'line {number}: an object is needed')
            rows.append({str(name): _cell(value) for name, value in row.items()})
    return pd.DataFrame(rows, dtype=str).fillna('')


def _cell(value: object) -> str:
    if value is None:
        return ''
    if isinstance(value, list):
        return '|'.join(map(_cell, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Errors of a table as ValueError with its path."""
    try:
        yield
    except UnicodeError as error:
        raise ValueError(
            f'{path}: its bytes are not of one encoding ({error}); save the table as UTF-8, or set '
            "encoding='...'"
        ) from error
    except (csv.Error, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(
            f'{path}: cannot be read as a table ({error}); is a double quote not closed?'
        ) from error
    except (LookupError, OSError, ValueError) as error:
        raise ValueError(f'{path}: cannot be read as a table ({error})') from error
    except Exception as error:  # spreadsheet libraries raise other types
        if type(error).__module__.partition('.')[0] not in ('python_calamine', 'zipfile'):
            raise
        raise ValueError(f'{path}: cannot be read as a table ({error})') from error


class _Text(HTMLParser):
    """Collects the text between tags, except scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self._skipping += tag in ('script', 'style')

    def handle_endtag(self, tag: str) -> None:
        self._skipping -= tag in ('script', 'style') and self._skipping > 0

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.parts.append(data)
