"""A catalogue's table, read once a process: checked, a picture a line, always in the same order."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from mmengine.logging import print_log

from mvlt.datasets.column_guesses import has_addresses, looks_like_several
from mvlt.datasets.columns import Template
from mvlt.datasets.picture_paths import PictureFolder, below, check_is_there
from mvlt.datasets.table import clean_markup, read_table
from mvlt.structures import CATEGORIES

_KEPT = 2  # tables: training opens one of them three times


class TableRules(NamedTuple):
    """How a table is read; see :class:`mvlt.datasets.Catalogue` for each.

    columns: (key, column) pairs.
    strict: a missing picture or an empty caption is an error.
    """

    columns: tuple[tuple[str, str], ...]
    caption: str
    missing: frozenset[str]
    min_products: int
    rare: Literal['warn', 'drop', 'error']
    encoding: str | None
    clean: bool
    max_missing_ratio: float | None
    allow_empty_caption: bool
    table_order: bool
    path: str = ''
    root: str = ''
    strict: bool = True


class CatalogueTable(NamedTuple):
    """A picture a line.

    columns: name -> cells as text, (lines,).
    rows: int64 (lines,), the row in the file as a spreadsheet counts it.
    pictures: paths below the root, text (lines,).
    """

    columns: dict[str, pa.Array]
    rows: np.ndarray
    pictures: pa.Array

    def cells(self, name: str, lines: np.ndarray) -> list[str]:
        """Of one column."""
        return self.columns[name].take(pa.array(lines)).to_pylist()


class _Opened(NamedTuple):
    table: CatalogueTable
    folders: dict[str, int]  # folder of pictures -> when it changed


_opened: 'OrderedDict[tuple, _Opened]' = OrderedDict()


def open_table(rules: TableRules, columns: Sequence[str]) -> CatalogueTable:
    """The table of ``rules`` with at least ``columns``; what was opened before is not read again.

    Lines follow product id and picture, wherever the file has them, unless ``table_order`` is set:
    what a seed draws does not change when a table is sorted anew.

    Raises:
        FileNotFoundError, ValueError: table, column, picture or caption is wrong.
    """
    stat = os.stat(rules.path)
    key = (rules, stat.st_mtime_ns, stat.st_size)
    known = _opened.get(key)
    if known is not None:
        columns = list(dict.fromkeys((*columns, *known.table.columns)))
        if set(columns) == set(known.table.columns) and known.folders == _changed(known.folders):
            _opened.move_to_end(key)
            return known.table
    reader = _Reader(rules)
    table = reader.read(columns)
    _opened[key] = _Opened(table, _changed(reader.folder.folders))
    while len(_opened) > _KEPT:
        _opened.popitem(last=False)
    return table


def _changed(folders: Sequence[str] | dict[str, int]) -> dict[str, int]:
    return {path: os.stat(path).st_mtime_ns if os.path.isdir(path) else 0 for path in folders}


class _Reader:
    """From the file to a :class:`CatalogueTable`."""

    def __init__(self, rules: TableRules) -> None:
        self.rules = rules
        self.path = rules.path
        self.columns = dict(rules.columns)
        self.folder = PictureFolder(rules.root)
        self.product = self.columns.get('product_id', self.columns['image'])

    def read(self, names: Sequence[str]) -> CatalogueTable:
        """Read and check every row."""
        rules = self.rules
        table = read_table(Path(self.path), names, rules.encoding)
        self.title = Template(rules.caption, names)
        if rules.clean:
            aside = {self.columns.get(key) for key in ('image', 'product_id', 'split')}
            texts = [name for name in names if name not in aside]
            table = clean_markup(table, texts, self.path)
        self._check_cells(table)
        self._warn_of_repeats(table)
        if not rules.table_order:
            table = _in_order(table, self.product, self.columns['image'])
        table, pictures = self._with_pictures(self._with_captions(table))
        table, pictures = self._handle_rare(table, pictures)
        return CatalogueTable(
            {name: pa.array(table[name], pa.large_string()) for name in table.columns},
            table.index.to_numpy(),
            pa.array(pictures, pa.large_string()),
        )

    def _unknown(self, cells: pd.Series) -> pd.Series:
        return cells.isin(self.rules.missing)

    def _check_cells(self, table: pd.DataFrame) -> None:
        """No product without an id; no address in the place of a file; gaps in labels are told."""
        image = self.columns['image']
        if has_addresses(table[image]):
            raise ValueError(
                f"{self.path}: column '{image}' holds addresses (http...), files are needed: "
                f'tools/dataset_converters/fetch_pictures.py {self.path} brings them'
            )
        for key in ('product_id', *CATEGORIES):
            if key not in self.columns:
                continue
            column = self.columns[key]
            empty = table[self._unknown(table[column])]
            if empty.empty:
                continue
            line = (
                f"{self.path}, row {empty.index[0]}: column '{column}' ({key}) says "
                f"'{empty.iloc[0][column]}', which means unknown ({len(empty)} such rows)"
            )
            if key == 'product_id':
                raise ValueError(f'{line}; fill it or delete the row')
            print_log(f'{line}; no head learns {key} from them', 'current', level=30)

    def _warn_of_repeats(self, table: pd.DataFrame) -> None:
        twice = table.duplicated()
        if twice.any():
            print_log(
                f'{self.path}: {int(twice.sum())} rows are equal to an earlier one, first row '
                f'{table.index[twice][0]}; each counts as a picture of its own. Delete them',
                'current',
                level=30,
            )
        if 'product_id' not in self.columns:
            return
        column = self.columns['product_id']
        captions = table.drop_duplicates([column, *dict.fromkeys(self.title.columns)])
        several = captions[captions[column].duplicated()]
        if not several.empty:
            name = several.iloc[0][column]
            rows = ', '.join(map(str, captions.index[captions[column] == name][:5]))
            print_log(
                f"{self.path}: {several[column].nunique()} values of column '{column}' "
                f"(product_id) have rows with different captions, first '{name}' in rows {rows}; "
                'rows of one id are pictures of one product. Is it the right column?',
                'current',
                level=30,
            )

    def _leave_out(self, table: pd.DataFrame, gone: np.ndarray, what: str) -> pd.DataFrame:
        """Without some rows, if there are few of them; ``what`` they lack is named."""
        count = int(gone.sum())
        if not count:
            return table
        share = self.rules.max_missing_ratio
        bound = len(gone) if share is None else max(1, int(share * len(gone)))
        first = table.index[gone].min()
        line = f'{self.path}, row {first}: {what} ({count} of {len(gone)} rows)'
        if count > bound:
            raise ValueError(
                f'{line}; {bound} at most are left out (max_missing_ratio={share}): fill them, '
                'delete the rows or raise it'
            )
        print_log(f'{line}; left out, as {bound} at most may be', 'current', level=30)
        return table[~gone]

    def _with_captions(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows that have one."""
        if self.rules.allow_empty_caption:
            return table
        columns = list(dict.fromkeys(self.title.columns))
        filled = table[columns].drop_duplicates()
        missing = self.rules.missing
        texts = [self.title.fill(cells, missing) for cells in filled.to_dict('records')]
        if all(texts):
            return table
        empty = filled[[not text for text in texts]]
        keys = set(empty.itertuples(index=False, name=None))
        gone = np.array([key in keys for key in table[columns].itertuples(index=False, name=None)])
        if self.rules.max_missing_ratio is None:
            raise ValueError(
                f'{self.path}, row {table.index[gone].min()}: the caption is empty (template '
                f"'{self.rules.caption}'); fill a column of the template or delete the row"
            )
        return self._leave_out(table, gone, f"the caption '{self.rules.caption}' is empty")

    def _with_pictures(self, table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
        """A row a picture, and their paths below the root."""
        column = self.columns['image']
        may_lack = self.rules.max_missing_ratio is not None
        paths: dict[str, list[str]] = {}
        lacking: dict[str, str] = {}  # cell -> why nothing is left of it
        partly: list[str] = []  # pictures of cells of which others are there
        cells = table[column].sort_index().drop_duplicates()  # the first bad row is named
        for row, cell in cells.items():
            where = f"{self.path}, row {row}, column '{column}'"
            names = [cell] if self.folder.has(cell) else looks_like_several(cell) or [cell]
            files = {name: self.folder.find(name) for name in names}
            gone = [name for name, path in files.items() if path is None]
            paths[cell] = [path for path in files.values() if path is not None]
            if cell in self.rules.missing:
                lacking[cell] = f"says '{cell}', which means unknown"
            elif gone and not may_lack:
                expected = {name: below(self.rules.root, name, where) for name in gone}
                if self.rules.strict:
                    check_is_there(expected[gone[0]], gone[0], self.rules.root, where)
                paths[cell] = [files[name] or expected[name] for name in names]
            elif not paths[cell]:
                below(self.rules.root, cell, where)  # a path that leaves is an error
                lacking[cell] = f"no image '{gone[0]}' below {self.rules.root}"
            else:
                partly += [f"row {row}: no image '{name}'" for name in gone]
        if partly:
            print_log(
                f'{self.path}, {partly[0]} below {self.rules.root}; other pictures of its row are '
                f'there and stay ({len(partly)} such pictures)',
                'current',
                level=30,
            )
        bare = table[column].isin(lacking).to_numpy()
        if bare.any():
            first = table.index[bare].min()
            why = f"column '{column}' (image) {lacking[table[column][first]]}"
            if not may_lack and self.rules.strict:
                raise ValueError(f'{self.path}, row {first}: {why}; fill it or delete the row')
            table = self._leave_out(table, bare, why)
        counts = [len(paths[cell]) for cell in table[column]]
        start = len(os.path.join(self.rules.root, ''))
        pictures = [path[start:] for cell in table[column] for path in paths[cell]]
        if max(counts, default=1) > 1:
            table = table.loc[table.index.repeat(counts)]
        return table, np.array(pictures, object)

    def _handle_rare(
        self, table: pd.DataFrame, pictures: np.ndarray
    ) -> tuple[pd.DataFrame, np.ndarray]:
        product = table[self.product]
        for key in CATEGORIES:
            if key not in self.columns:
                continue
            categories = table[self.columns[key]]
            known = ~self._unknown(categories).to_numpy()  # rows of several pictures repeat
            products = product[known].groupby(categories.to_numpy()[known]).nunique()
            rare = products[products < self.rules.min_products]
            if rare.empty:
                continue
            listed = ', '.join(f"'{name}' ({n})" for name, n in rare.items())
            line = (
                f'{self.path}: {len(rare)} {key} value(s) with fewer than '
                f'{self.rules.min_products} products, first in row '
                f'{table[categories.isin(rare.index)].index.min()}: '
                f"{listed}. Merge or fill them, set rare='drop', or lower "
                'min_products (arguments of the dataset in the config)'
            )
            if self.rules.rare == 'error':
                raise ValueError(line)
            print_log(line, 'current', level=30)
            if self.rules.rare == 'drop':
                keep = ~categories.isin(rare.index).to_numpy()
                table, product, pictures = table[keep], product[keep], pictures[keep]
        return table, pictures


def _in_order(table: pd.DataFrame, product: str, image: str) -> pd.DataFrame:
    """Sorted by product id (as numbers where all are), then picture, then every other cell."""
    ids = table[product]
    keys = [ids, table[image]]
    if ids.str.isdecimal().all():
        digits = ids.str.lstrip('0')
        keys = [digits.str.len(), digits, *keys]
    if table.duplicated(list(dict.fromkeys((product, image)))).any():
        keys += [table[name] for name in sorted(table.columns)]
    codes = [key if key.dtype.kind in 'iu' else pd.factorize(key, sort=True)[0] for key in keys]
    return table.iloc[np.lexsort(codes[::-1])]
