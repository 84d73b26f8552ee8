"""Tables as shops export them: text cells, whatever the file."""

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

TEXTS = ('.csv', '.tsv')
SHEETS = ('.xlsx', '.xls', '.ods')
SUFFIXES = (*TEXTS, '.parquet', '.jsonl', *SHEETS)
# a JSON file beside a table says what its columns mean, so that none is a table itself
_LIST = (
    'A JSON list becomes a table by '
    "python -c \"import pandas; pandas.read_json('{0}').to_json('products.jsonl', "
    "orient='records', lines=True)\""
)
_SEPARATORS = ',;\t|'
_SAMPLE = 200  # rows that separator and columns are told by
_BLOCK = 1 << 20  # bytes
# what programs of shops write where it is not UTF: Latin letters of the West and of Central Europe,
# and others, which the library tells apart
_WESTERN, _CENTRAL = 'cp1252', 'cp1250'
_OTHERS = ('cp1251', 'cp1253', 'cp1255', 'cp1256', 'shift_jis', 'gb18030', 'big5', 'euc_kr')
# Polish and its like, read as Western, have signs within words
_SIGN_IN_WORD = re.compile('[^\\W\\d_][\u00a1-\u00bf\u00d7\u00f7][^\\W\\d_]')
_MARKUP = r'</?[a-zA-Z][^<>]*>|&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]\w+);'


class Layout(NamedTuple):
    """How a text file is cut into cells.

    encoding: of its bytes.
    separator: between cells.
    skipped: lines before the header: one that names the separator, as Excel writes it.
    """

    encoding: str
    separator: str
    skipped: int


def find_table(path: str | Path) -> Path:
    """The file of a table: itself, or one of its name with another suffix, or the folder's only.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a file of another kind.
    """
    path = Path(path)
    if not path.is_file():
        near = [one for s in SUFFIXES if (one := path.with_suffix(s)).is_file()]
        folder = path.parent
        if not near and folder.is_dir() and path.stem == 'products':
            near = sorted(one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES)
            if len(near) > 1:
                names = ', '.join(one.name for one in near)
                raise FileNotFoundError(
                    f'{path}: no such table, and several beside it ({names}): name one (ann_file)'
                )
        if not near:
            lists = [one for one in sorted(folder.glob('*.json')) if _starts_a_list(one)]
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
    """Of a table, in their order; of most kinds without reading it all.

    Raises:
        ValueError: it cannot be read, or two columns have one name.
    """
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
    """Cells as text, '' where there is none; the index is the row as a spreadsheet counts it.

    Rows without any cell are left out, blanks around cells, too.

    Args:
        path: of :func:`find_table`.
        columns: those that are wanted; None = all.
        encoding: of a text file; None = told by its bytes.

    Raises:
        ValueError: it cannot be read; a row has more cells than there are columns.
    """
    with _reading(path):
        table = _read(path, encoding, columns)
    table = table.apply(lambda cells: cells.str.strip())
    return table[(table != '').any(axis=1)]


def read_sample(path: Path, encoding: str | None = None) -> pd.DataFrame:
    """The first rows, to see what the columns hold.

    Raises:
        ValueError: it cannot be read.
    """
    with _reading(path):
        if path.suffix.lower() in TEXTS:
            table = _read_text(path, layout_of(path, encoding), None, _SAMPLE)
        else:
            table = _read(path, encoding).head(_SAMPLE)
    return table.apply(lambda cells: cells.str.strip())


def clean_markup(table: pd.DataFrame, columns: Sequence[str], source: str) -> pd.DataFrame:
    """Texts without HTML: tags become blanks, ``&amp;`` and their like letters; said in a line."""
    found: dict[str, int] = {}
    for name in columns:
        marked = table[name].str.contains(_MARKUP)
        if marked.any():
            table = table.assign(
                **{name: table[name].where(~marked, table[name][marked].map(plain_text))}
            )
            found[name] = int(marked.sum())
    if found:
        listed = ', '.join(f"'{name}' ({count} cells)" for name, count in found.items())
        print_log(f'{source}: HTML is left out of {listed}; keep it with clean=False', 'current')
    return table


def plain_text(marked: str) -> str:
    """A text without tags and entities."""
    parser = _Text()
    parser.feed(html.unescape(marked) if '<' not in marked else marked)
    parser.close()
    return ' '.join(' '.join(parser.parts).split())


def layout_of(path: Path, encoding: str | None = None) -> Layout:
    """How a text file is to be read.

    Raises:
        LookupError, ValueError: an unknown encoding, or bytes that are not of it.
    """
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
def _encoding(path: Path, changed: int, size: int) -> str:  # said once for each state of a file
    """UTF-8 and UTF-16 by their marks and rules, others by the library; said where not UTF-8."""
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
        found = _CENTRAL if '\ufffd' in western or _SIGN_IN_WORD.search(western) else _WESTERN
    else:
        match = from_bytes(sample, cp_isolation=[*_OTHERS]).best()
        found = match.encoding if match is not None else _WESTERN
    print_log(f"{path}: read as {found}, not UTF-8; another one: encoding='...'", 'current')
    return found


@contextmanager
def _lines(path: Path, layout: Layout) -> Iterator[Iterator[list[str]]]:
    """Cells of each row, header first; cells of megabytes, too."""
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
        table = _read_sheet(path)
    table.columns = [str(name).strip() for name in table.columns]
    table.index = range(2, len(table) + 2)
    return table if columns is None else table[list(columns)]


def _read_text(
    path: Path, layout: Layout, columns: Sequence[str] | None, rows: int | None = None
) -> pd.DataFrame:
    names = column_names(path, layout.encoding)
    _count_cells(path, layout, len(names), rows)
    with warnings.catch_warnings():  # about separators at the end of rows, which are harmless
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
    """Refuse a row with too many cells, which would move others; tell of rows with too few.

    Of the first ``rows`` only the former is said: all are read afterwards.
    """
    few: list[int] = []
    with _lines(path, layout) as lines:
        next(lines, None)
        for row, cells in enumerate(islice(lines, rows), 2 + layout.skipped):
            if any(cells[columns:]):
                raise ValueError(
                    f'row {row}: {len(cells)} cells for {columns} columns; put a text with '
                    f'{layout.separator!r} in double quotes'
                )
            if 0 < len(cells) < columns:
                few.append(row)
    if few and rows is None:
        print_log(
            f'{path}: {len(few)} rows have fewer cells than the {columns} columns, first row '
            f'{few[0]}; what is missing counts as unknown. Is a text with a line break without '
            'double quotes?',
            'current',
            level=30,
        )


def _read_json_lines(path: Path, encoding: str | None) -> pd.DataFrame:
    """An object a line; lists become cells of several values."""
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
        return '|'.join(_cell(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read_sheet(path: Path) -> pd.DataFrame:
    """The first sheet."""
    try:
        table = pd.read_excel(path, dtype=str, keep_default_na=False, engine='calamine')
    except ImportError as error:
        raise ValueError("needs python-calamine: pip install 'mvlt[excel]'") from error
    unnamed = [name for name in table.columns if str(name).startswith('Unnamed: ')]
    return table.drop(columns=[name for name in unnamed if (table[name] == '').all()])


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Says of a table that cannot be read why."""
    try:
        yield
    except UnicodeError as error:
        raise ValueError(
            f'{path}: its bytes are not of one encoding ({error}); save the table as UTF-8, or '
            "say encoding='...'"
        ) from error
    except (csv.Error, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(
            f'{path}: cannot be read as a table ({error}); is a double quote not closed?'
        ) from error
    except (LookupError, OSError, ValueError) as error:
        raise ValueError(f'{path}: cannot be read as a table ({error})') from error
    except Exception as error:  # libraries of spreadsheets raise their own
        if type(error).__module__.partition('.')[0] not in ('python_calamine', 'zipfile'):
            raise
        raise ValueError(f'{path}: cannot be read as a table ({error})') from error


class _Text(HTMLParser):
    """Gathers what stands between tags, but for scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self._hidden += tag in ('script', 'style')

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ('script', 'style') and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)
