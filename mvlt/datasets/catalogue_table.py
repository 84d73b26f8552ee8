"""A catalogue's table: checked, sorted, an image a line, read once a process."""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from mmengine.logging import print_log

from mvlt.datasets.column_guesses import has_addresses, looks_like_several
from mvlt.datasets.columns import Template
from mvlt.datasets.image_paths import ImageFolder, below, check_is_there
from mvlt.datasets.table import clean_markup, read_table
from mvlt.structures import CATEGORIES

_CACHE_SIZE = 2  # tables: training opens one of them three times


class TableRules(NamedTuple):
    """How to read a table; see :class:`mvlt.datasets.Catalogue`.

    columns: (key, column) pairs.
    strict: a missing image or an empty caption is an error.
    """

    columns: tuple[tuple[str, str], ...]
    caption: str
    missing: frozenset[str]
    min_products: int
    on_rare_class: Literal['warn', 'drop', 'error']
    encoding: str | None
    clean: bool
    max_missing_ratio: float | None
    allow_empty_caption: bool
    table_order: bool
    path: str = ''
    root: str = ''
    strict: bool = True


class CatalogueTable(NamedTuple):
    """A table with an image a line.

    columns: name -> cells as text, (lines,).
    rows: int64 (lines,), rows of the file as a spreadsheet counts them.
    image_paths: paths below the root, text (lines,).
    """

    columns: dict[str, pa.Array]
    rows: np.ndarray
    image_paths: pa.Array

    def cells(self, name: str, lines: np.ndarray) -> list[str]:
        """Cells of a column."""
        return self.columns[name].take(pa.array(lines)).to_pylist()


# table, and modification times of the folders of its images
_opened: 'OrderedDict[tuple, tuple[CatalogueTable, dict[str, int]]]' = OrderedDict()


def open_table(rules: TableRules, columns: Sequence[str]) -> CatalogueTable:
    """The table of ``rules`` with at least ``columns``, from a cache if nothing changed.

    Raises:
        FileNotFoundError, ValueError: wrong table, column, image or caption.
    """
    stat = os.stat(rules.path)
    key = (rules, stat.st_mtime_ns, stat.st_size)
    if key in _opened:
        table, changed = _opened[key]
        columns = list(dict.fromkeys((*columns, *table.columns)))
        if set(columns) == set(table.columns) and changed == _changed(changed):
            _opened.move_to_end(key)
            return table
    reader = _Reader(rules)
    table = reader.read(columns)
    _opened[key] = table, _changed(reader.folder.folders)
    while len(_opened) > _CACHE_SIZE:
        _opened.popitem(last=False)
    return table


def _changed(folders: Iterable[str]) -> dict[str, int]:
    return {path: os.stat(path).st_mtime_ns if os.path.isdir(path) else 0 for path in folders}


class _Reader:
    """Reads a file to a :class:`CatalogueTable`."""

    def __init__(self, rules: TableRules) -> None:
        self.rules = rules
        self.path = rules.path
        self.columns = dict(rules.columns)
        self.folder = ImageFolder(rules.root)
        self.product = self.columns.get('product_id', self.columns['image'])

    def read(self, names: Sequence[str]) -> CatalogueTable:
        """Read and check every row."""
        rules = self.rules
        table = read_table(Path(self.path), names, rules.encoding)
        self.caption = Template(rules.caption, names)
        if rules.clean:
            no_texts = {self.columns.get(key) for key in ('image', 'product_id', 'split')}
            texts = [name for name in names if name not in no_texts]
            table = clean_markup(table, texts, self.path)
        self._check_cells(table)
        self._warn_of_repeats(table)
        if not rules.table_order:
            table = _in_order(table, self.product, self.columns['image'])
        table, image_paths = self._with_images(self._with_captions(table))
        table, image_paths = self._handle_rare(table, image_paths)
        return CatalogueTable(
            {name: pa.array(table[name], pa.large_string()) for name in table.columns},
            table.index.to_numpy(),
            pa.array(image_paths, pa.large_string()),
        )

    def _check_cells(self, table: pd.DataFrame) -> None:
        """Refuse missing product ids and URLs as images; warn of missing categories."""
        image = self.columns['image']
        if has_addresses(table[image]):
            raise ValueError(
                f"{self.path}: column '{image}' holds addresses (http...), not files; download the "
                f'images with tools/dataset_converters/fetch_images.py {self.path}'
            )
        keys = [key for key in ('product_id', *CATEGORIES) if key in self.columns]
        for key in keys:
            column = self.columns[key]
            empty = table[table[column].isin(self.rules.missing)]
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
                f'{table.index[twice][0]}; each counts as another image. Delete them',
                'current',
                level=30,
            )
        if 'product_id' not in self.columns:
            return
        column = self.columns['product_id']
        captions = table.drop_duplicates([column, *dict.fromkeys(self.caption.columns)])
        several = captions[captions[column].duplicated()]
        if not several.empty:
            name = several.iloc[0][column]
            rows = ', '.join(map(str, captions.index[captions[column] == name][:5]))
            print_log(
                f"{self.path}: {several[column].nunique()} values of column '{column}' "
                f"(product_id) have rows with different captions, first '{name}' in rows {rows}; "
                'rows of one id are images of one product. Is it the right column?',
                'current',
                level=30,
            )

    def _drop(self, table: pd.DataFrame, incomplete: np.ndarray, why: str) -> pd.DataFrame:
        """Drop incomplete rows, bool (rows,), if ``max_missing_ratio`` allows so many."""
        count = int(incomplete.sum())
        ratio = self.rules.max_missing_ratio
        limit = len(incomplete) if ratio is None else max(1, int(ratio * len(incomplete)))
        first = table.index[incomplete].min()
        line = f'{self.path}, row {first}: {why} ({count} of {len(incomplete)} rows)'
        if count > limit:
            raise ValueError(
                f'{line}; at most {limit} may be dropped (max_missing_ratio={ratio}): fill or '
                'delete the rows, or raise max_missing_ratio'
            )
        print_log(f'{line}; dropped, at most {limit} may be', 'current', level=30)
        return table[~incomplete]

    def _with_captions(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows that have a caption."""
        if self.rules.allow_empty_caption:
            return table
        columns = list(dict.fromkeys(self.caption.columns))
        rows = [*table[columns].itertuples(index=False, name=None)]
        captions = {
            row: self.caption.fill(dict(zip(columns, row)), self.rules.missing) for row in set(rows)
        }
        if all(captions.values()):
            return table
        incomplete = np.array([not captions[row] for row in rows])
        if self.rules.max_missing_ratio is None:
            raise ValueError(
                f'{self.path}, row {table.index[incomplete].min()}: the caption is empty (template '
                f"'{self.rules.caption}'); fill a column of the template or delete the row"
            )
        return self._drop(table, incomplete, f"the caption '{self.rules.caption}' is empty")

    def _with_images(self, table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
        """A row for each image, and the images' paths below the root."""
        column = self.columns['image']
        may_lack = self.rules.max_missing_ratio is not None
        paths: dict[str, list[str]] = {}
        lacking: dict[str, str] = {}  # cell without images -> why
        partly: list[str] = []  # missing images of cells that have others
        cells = table[column].sort_index().drop_duplicates()  # the first bad row is named
        for row, cell in cells.items():
            where = f"{self.path}, row {row}, column '{column}'"
            names = [cell] if self.folder.has(cell) else looks_like_several(cell) or [cell]
            files = {name: self.folder.find(name) for name in names}
            missing = [name for name, path in files.items() if path is None]
            paths[cell] = [path for path in files.values() if path is not None]
            if cell in self.rules.missing:
                lacking[cell] = f"says '{cell}', which means unknown"
            elif missing and not may_lack:
                expected = {name: below(self.rules.root, name, where) for name in missing}
                if self.rules.strict:
                    check_is_there(expected[missing[0]], missing[0], self.rules.root, where)
                paths[cell] = [files[name] or expected[name] for name in names]
            elif not paths[cell]:
                below(self.rules.root, cell, where)  # refuses paths that leave the root
                lacking[cell] = f"no image '{missing[0]}' below {self.rules.root}"
            else:
                partly += [f"row {row}: no image '{name}'" for name in missing]
        if partly:
            print_log(
                f'{self.path}, {partly[0]} below {self.rules.root}; the other images of its row '
                f'stay ({len(partly)} such images)',
                'current',
                level=30,
            )
        incomplete = table[column].isin(lacking).to_numpy()
        if incomplete.any():
            first = table.index[incomplete].min()
            why = f"column '{column}' (image) {lacking[table[column][first]]}"
            if not may_lack and self.rules.strict:
                raise ValueError(f'{self.path}, row {first}: {why}; fill it or delete the row')
            table = self._drop(table, incomplete, why)
        counts = [len(paths[cell]) for cell in table[column]]
        start = len(os.path.join(self.rules.root, ''))
        image_paths = [path[start:] for cell in table[column] for path in paths[cell]]
        if max(counts, default=1) > 1:
            table = table.loc[table.index.repeat(counts)]
        return table, np.array(image_paths, object)

    def _handle_rare(
        self, table: pd.DataFrame, image_paths: np.ndarray
    ) -> tuple[pd.DataFrame, np.ndarray]:
        product = table[self.product]
        for key in [key for key in CATEGORIES if key in self.columns]:
            categories = table[self.columns[key]]
            named = ~categories.isin(self.rules.missing).to_numpy()  # rows of several images repeat
            products = product[named].groupby(categories.to_numpy()[named]).nunique()
            rare = products[products < self.rules.min_products]
            if rare.empty:
                continue
            listed = ', '.join(f"'{name}' ({n})" for name, n in rare.items())
            line = (
                f'{self.path}: {len(rare)} {key} value(s) with fewer than '
                f'{self.rules.min_products} products, first in row '
                f'{table[categories.isin(rare.index)].index.min()}: '
                f"{listed}. Merge or fill them, set on_rare_class='drop', or lower "
                'min_products (arguments of the dataset in the config)'
            )
            if self.rules.on_rare_class == 'error':
                raise ValueError(line)
            print_log(line, 'current', level=30)
            if self.rules.on_rare_class == 'drop':
                keep = ~categories.isin(rare.index).to_numpy()
                table, product, image_paths = table[keep], product[keep], image_paths[keep]
        return table, image_paths


def _in_order(table: pd.DataFrame, product: str, image: str) -> pd.DataFrame:
    """Sorted by product id (as numbers if all are), then image, then every other cell."""
    ids = table[product]
    keys = [ids, table[image]]
    if ids.str.isdecimal().all():
        digits = ids.str.lstrip('0')
        keys = [digits.str.len(), digits, *keys]
    if table.duplicated(list(dict.fromkeys((product, image)))).any():
        keys += [table[name] for name in sorted(table.columns)]
    codes = [key if key.dtype.kind in 'iu' else pd.factorize(key, sort=True)[0] for key in keys]
    return table.iloc[np.lexsort(codes[::-1])]


class TableRecords(Sequence):
    """Records of a table, created on access.

    The columns stay as they are: 500,000 products take tens of megabytes, not gigabytes, and
    splits and data workers share them.

    Args:
        table: an image a line.
        columns: columns that a record is made of.
        lines: lines of the table, int (n,).
        class_ids: category or attribute -> class ids, int32 (n,).
        make: row, cells and image path -> record.
    """

    def __init__(
        self,
        table: CatalogueTable,
        columns: Sequence[str],
        lines: np.ndarray,
        class_ids: Mapping[str, np.ndarray],
        make: Callable[[int, Mapping[str, str], str], dict[str, Any]],
    ) -> None:
        self.rows = table.rows
        self.columns = {name: table.columns[name] for name in columns}
        self.image_paths = table.image_paths
        self.lines = lines
        self.class_ids = class_ids
        self.make = make

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: Any) -> Any:
        """A record, or the records of a slice."""
        if isinstance(index, slice):
            part = copy(self)
            part.lines = self.lines[index]
            part.class_ids = {key: ids[index] for key, ids in self.class_ids.items()}
            return part
        line = int(self.lines[index])
        cells = {name: column[line].as_py() for name, column in self.columns.items()}
        record = self.make(int(self.rows[line]), cells, self.image_paths[line].as_py())
        return {**record, **{key: int(ids[index]) for key, ids in self.class_ids.items()}}
