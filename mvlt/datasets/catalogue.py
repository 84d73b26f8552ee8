"""Any shop's catalogue: a table and a folder of pictures."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from mmengine.logging import print_log

from mvlt.datasets.columns import (
    Meaning,
    Template,
    decide,
    has_addresses,
    known_columns,
    looks_like_several,
)
from mvlt.datasets.pair_dataset import PairDataset, product_share
from mvlt.datasets.picture_paths import PictureFolder
from mvlt.datasets.rows import Rows
from mvlt.datasets.table import (
    clean_markup,
    column_names,
    find_table,
    read_sample,
    read_table,
)
from mvlt.registry import DATASETS
from mvlt.structures import CATEGORIES

SPLITS = ('train', 'val', 'test', 'all')


@DATASETS.register_module()
class Catalogue(PairDataset):
    """One split of a catalogue; a row is a picture of a product.

    Without a ``split`` column the split follows a hash of the product id and ``split_seed``: the
    same on every machine, stable when rows are added, and all pictures of a product on one side.

    Args:
        ann_file: table below ``data_root``: CSV, TSV, Parquet, JSON lines or a sheet
            (:mod:`mvlt.datasets.table`). Where there is none of its name, one of another suffix is
            taken.
        columns: which column holds ``image`` (path below ``data_root``, or several:
            ``a.jpg|b.jpg``), and, where there are any, ``product_id`` (else the image's cell),
            ``main_category``, ``sub_category``, ``split``; None = there is no such column. 'guess'
            goes by the columns' names and cells, captions too.
        caption: template over the table's columns, e.g. '{title}. {colour} {kind}' or
            '{title|brand kind}' (:class:`mvlt.datasets.columns.Template`). A JSON file of the
            table's name beside it (``products.json`` for ``products.csv``) with ``columns`` and
            ``caption`` goes before both arguments: every config then fits the catalogue. It may
            have ``attributes`` and ``wordings``, too. Where there is none it is written
            (:func:`mvlt.datasets.columns.decide`).
        attributes: what else products are known by, label -> column: dict(colour='baseColour'). A
            record then has the number of its class, -1 where the cell means "unknown".
        wordings: templates as ``caption``, other ways to say what a product is, for
            :class:`mvlt.datasets.RewordCaption`; one that gives no word for a product is left out.
        split: 'train', 'val', 'test' or 'all'.
        split_ratios: shares of train, val and test; they add up to 1.
        split_seed: part of the hash.
        missing: cell values that mean "unknown"; they leave no trace in a caption.
        min_products: a category with fewer products in the whole table is rare.
        rare: what happens then: 'warn' and keep, 'drop' its rows, or 'error'.
        all_columns: :meth:`table` has every column, not only those that are named here.
        encoding: of a text file; None = told by its bytes.
        clean: HTML is left out of texts.
        left_out: share of the rows that may lack a picture or a caption: they are left out, which a
            line says; more of them are an error. None: a missing picture is as ``on_error`` says,
            a row without a caption an error.
        wordless: rows without a caption stay, with an empty one: what is only searched needs none.
        kwargs: mmengine's BaseDataset (data_root, pipeline, indices, test_mode, ...).

    Products of one id with different captions, and rows that are equal, are a warning; so is a val
    split without rows: training then validates nothing.

    Raises:
        FileNotFoundError, KeyError, ValueError: table, column, picture, caption, split or category
            is wrong; the message names file, row and remedy.
    """

    splits = SPLITS[:3]
    ann_file: str

    def __init__(
        self,
        ann_file: str,
        columns: Mapping[str, str] | Literal['guess'],
        caption: str,
        split: str = 'train',
        split_ratios: Sequence[float] = (0.8, 0.1, 0.1),
        split_seed: int = 0,
        attributes: Mapping[str, str] | None = None,
        wordings: Sequence[str] = (),
        missing: Sequence[str] = ('', 'NA', 'nan', 'None'),
        min_products: int = 2,
        rare: Literal['warn', 'drop', 'error'] = 'warn',
        all_columns: bool = False,
        encoding: str | None = None,
        clean: bool = True,
        left_out: float | None = None,
        wordless: bool = False,
        **kwargs: Any,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"Catalogue.split='{split}'; legal: {', '.join(SPLITS)}")
        if rare not in ('warn', 'drop', 'error'):
            raise ValueError(f"Catalogue.rare='{rare}'; legal: warn, drop, error")
        if len(split_ratios) != 3 or abs(sum(split_ratios) - 1) > 1e-6 or min(split_ratios) < 0:
            raise ValueError(
                f'Catalogue.split_ratios={split_ratios}: three shares that add up to 1'
            )
        self.guess = columns == 'guess'
        self.columns = {} if columns == 'guess' else known_columns(columns, 'Catalogue')
        self.caption = caption
        self.attributes = dict(attributes or {})
        self.wordings = tuple(wordings)
        self.split = split
        self.split_ratios = tuple(split_ratios)
        self.split_seed = split_seed
        self.missing = frozenset(missing)
        self.min_products = min_products
        self.rare = rare
        self.all_columns = all_columns
        self.encoding = encoding
        self.clean = clean
        self.left_out = left_out
        self.wordless = wordless
        kwargs.setdefault('serialize_data', False)  # Rows are small and shared as they are
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> Rows:  # type: ignore[override]
        """Read the table's columns that are needed, check every row, keep those of the split."""
        path = find_table(self.ann_file)
        self.ann_file = str(path)
        names = column_names(path, self.encoding)
        given = Meaning(self.columns, self.caption, self.attributes, self.wordings)
        found = decide(
            path, names, lambda: read_sample(path, self.encoding), None if self.guess else given
        )
        self.columns, self.caption, self.attributes, self.wordings = found
        self._title = Template(self.caption, names)
        self._templates = [Template(one, names) for one in self.wordings]
        needed = [*self.columns.values(), *self.attributes.values(), *self._title.columns]
        needed += [name for one in self._templates for name in one.columns]
        wanted = names if self.all_columns else list(dict.fromkeys(needed))
        table = read_table(path, wanted, self.encoding)
        if self.clean:
            aside = {self.columns.get(key) for key in ('image', 'product_id', 'split')}
            texts = [name for name in wanted if name not in aside]
            table = clean_markup(table, texts, self.ann_file)
        self._check_cells(table)
        self._warn_of_repeats(table)
        table, pictures = self._with_pictures(self._with_captions(table))
        table, pictures = self._handle_rare(table, pictures)
        splits = self._splits(table)
        mine = np.ones(len(table), bool) if self.split == 'all' else (splits == self.split)
        chosen = table[mine]
        if chosen.empty:
            line = (
                f"{self.ann_file}: no row belongs to split '{self.split}' "
                f'(rows a split: {dict(Counter(splits))}); add products or change split_ratios'
            )
            if self.split != 'val':
                raise ValueError(line)
            print_log(f'{line}; nothing is validated', 'current', level=30)
        training = table[splits == 'train'] if self.split != 'all' else table
        labels = {key: self.columns[key] for key in CATEGORIES if key in self.columns}
        labels |= self.attributes
        ids = self._number_categories(
            {key: list(chosen[column]) for key, column in labels.items()},
            {key: list(training[column]) for key, column in labels.items()},
            f'{self.ann_file}, split {self.split}',
            self.missing,
        )
        numbers = {key: np.array(one, np.int32) for key, one in ids.items()}
        return Rows(chosen, numbers, pictures[np.asarray(mine)], self.record)

    def table(self) -> dict[str, pa.Array]:
        """Columns of the rows as text, null where unknown; labels by their own names.

        What is left out are the columns of picture, product id and split.
        """
        self.full_init()
        rows = self.data_list
        labels = {self.columns[key]: key for key in CATEGORIES if key in self.columns}
        labels |= {column: label for label, column in self.attributes.items()}
        aside = {self.columns.get(key) for key in ('image', 'product_id', 'split')} - set(labels)
        unknown = pa.array(sorted(self.missing), pa.large_string())
        found = {}
        for name, cells in rows.columns.items():
            if name not in aside:
                cells = cells.take(pa.array(rows.chosen))
                found[labels.get(name, name)] = pc.if_else(pc.is_in(cells, unknown), None, cells)
        return found

    def _where(self, row: int) -> str:
        return f"{self.ann_file}, row {row}, column '{self.columns['image']}'"

    def record(self, row: int, cells: Mapping[str, str], picture: str) -> dict[str, Any]:
        """A picture of a row of the table as a record without categories.

        Args:
            row: its line.
            cells: column -> cell.
            picture: its path below ``data_root``.
        """
        record: dict[str, Any] = dict(
            row=row,
            img_path=os.path.join(self._root, picture),
            product_id=cells[self.columns.get('product_id', self.columns['image'])],
            caption=self._title.fill(cells, self.missing),
        )
        if self.attributes:
            record['attributes'] = tuple(self.attributes)
        if self.wordings:
            filled = (one.fill(cells, self.missing) for one in self._templates)
            record['wordings'] = tuple(filter(None, filled))
        return record

    def _unknown(self, cells: pd.Series) -> pd.Series:
        return cells.isin(self.missing)

    def _check_cells(self, table: pd.DataFrame) -> None:
        """No product without an id; no address in the place of a file; gaps in labels are told."""
        image = self.columns['image']
        if has_addresses(table[image]):
            raise ValueError(
                f"{self.ann_file}: column '{image}' holds addresses (http...), files are needed: "
                f'tools/dataset_converters/fetch_pictures.py {self.ann_file} brings them'
            )
        for key in ('product_id', *CATEGORIES):
            if key not in self.columns:
                continue
            column = self.columns[key]
            empty = table[self._unknown(table[column])]
            if empty.empty:
                continue
            line = (
                f"{self.ann_file}, row {empty.index[0]}: column '{column}' ({key}) says "
                f"'{empty.iloc[0][column]}', which means unknown ({len(empty)} such rows)"
            )
            if key == 'product_id':
                raise ValueError(f'{line}; fill it or delete the row')
            print_log(f'{line}; no head learns {key} from them', 'current', level=30)

    def _warn_of_repeats(self, table: pd.DataFrame) -> None:
        twice = table.duplicated()
        if twice.any():
            print_log(
                f'{self.ann_file}: {int(twice.sum())} rows are equal to an earlier one, first row '
                f'{table.index[twice][0]}; each counts as a picture of its own. Delete them',
                'current',
                level=30,
            )
        if 'product_id' not in self.columns:
            return
        column = self.columns['product_id']
        wordings = table.drop_duplicates([column, *dict.fromkeys(self._title.columns)])
        several = wordings[wordings[column].duplicated()]
        if not several.empty:
            name = several.iloc[0][column]
            rows = ', '.join(map(str, wordings.index[wordings[column] == name][:5]))
            print_log(
                f"{self.ann_file}: {several[column].nunique()} values of column '{column}' "
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
        bound = len(gone) if self.left_out is None else max(1, int(self.left_out * len(gone)))
        line = f'{self.ann_file}, row {table.index[gone][0]}: {what} ({count} of {len(gone)} rows)'
        if count > bound:
            raise ValueError(
                f'{line}; {bound} at most are left out (left_out={self.left_out}): fill them, '
                'delete the rows or raise it'
            )
        print_log(f'{line}; left out, as {bound} at most may be', 'current', level=30)
        return table[~gone]

    def _with_captions(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows that have one."""
        if self.wordless:
            return table
        columns = list(dict.fromkeys(self._title.columns))
        filled = table[columns].drop_duplicates()
        words = [self._title.fill(cells, self.missing) for cells in filled.to_dict('records')]
        if all(words):
            return table
        empty = filled[[not one for one in words]]
        keys = set(empty.itertuples(index=False, name=None))
        gone = np.array([key in keys for key in table[columns].itertuples(index=False, name=None)])
        if self.left_out is None:
            raise ValueError(
                f'{self.ann_file}, row {table.index[gone][0]}: the caption is empty (template '
                f"'{self.caption}'); fill a column of the template or delete the row"
            )
        return self._leave_out(table, gone, f"the caption '{self.caption}' is empty")

    def _with_pictures(self, table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
        """A row a picture, and their paths below ``data_root``."""
        column = self.columns['image']
        folder = PictureFolder(self._root)
        paths: dict[str, list[str]] = {}
        lacking: dict[str, str] = {}  # cell -> why nothing is left of it
        partly: list[str] = []  # pictures of cells of which others are there
        for row, cell in table[column].drop_duplicates().items():
            names = [cell] if folder.has(cell) else looks_like_several(cell) or [cell]
            found = {name: folder.find(name) for name in names}
            gone = [name for name, path in found.items() if path is None]
            paths[cell] = [path for path in found.values() if path is not None]
            if cell in self.missing:
                lacking[cell] = f"says '{cell}', which means unknown"
            elif gone and self.left_out is None:
                wanted = {one: self._image_below_root(one, self._where(row)) for one in gone}
                self._check_is_there(wanted[gone[0]], gone[0], self._where(row))
                paths[cell] = [found[one] or wanted[one] for one in names]
            elif not paths[cell]:
                self._image_below_root(cell, self._where(row))  # a path that leaves is an error
                lacking[cell] = f"no image '{gone[0]}' below {self._root}"
            else:
                partly += [f"row {row}: no image '{one}'" for one in gone]
        if partly:
            print_log(
                f'{self.ann_file}, {partly[0]} below {self._root}; other pictures of its row are '
                f'there and stay ({len(partly)} such pictures)',
                'current',
                level=30,
            )
        bare = table[column].isin(lacking).to_numpy()
        if bare.any():
            why = f"column '{column}' (image) {lacking[table[column][bare].iloc[0]]}"
            if self.left_out is None and self.on_error == 'raise':
                raise ValueError(
                    f'{self.ann_file}, row {table.index[bare][0]}: {why}; fill it or delete the row'
                )
            table = self._leave_out(table, bare, why)
        counts = [len(paths[cell]) for cell in table[column]]
        start = len(os.path.join(self._root, ''))
        pictures = [path[start:] for cell in table[column] for path in paths[cell]]
        if max(counts, default=1) > 1:
            table = table.loc[table.index.repeat(counts)]
        return table, np.array(pictures, object)

    def _handle_rare(
        self, table: pd.DataFrame, pictures: np.ndarray
    ) -> tuple[pd.DataFrame, np.ndarray]:
        product = table[self.columns.get('product_id', self.columns['image'])]
        for key in CATEGORIES:
            if key not in self.columns:
                continue
            categories = table[self.columns[key]]
            products = product.groupby(categories[~self._unknown(categories)]).nunique()
            rare = products[products < self.min_products]
            if rare.empty:
                continue
            listed = ', '.join(f"'{name}' ({n})" for name, n in rare.items())
            line = (
                f'{self.ann_file}: {len(rare)} {key} value(s) with fewer than {self.min_products} '
                f'products, first in row {table[categories.isin(rare.index)].index[0]}: '
                f"{listed}. Merge or fill them, set rare='drop', or lower min_products"
            )
            if self.rare == 'error':
                raise ValueError(line)
            print_log(line, 'current', level=30)
            if self.rare == 'drop':
                keep = ~categories.isin(rare.index).to_numpy()
                table, product, pictures = table[keep], product[keep], pictures[keep]
        return table, pictures

    def _splits(self, table: pd.DataFrame) -> pd.Series:
        if 'split' in self.columns:
            found = table[self.columns['split']]
            wrong = found[~found.isin(SPLITS[:3])]
            if not wrong.empty:
                raise ValueError(
                    f"{self.ann_file}, row {wrong.index[0]}: split '{wrong.iloc[0]}'; "
                    f'legal: {", ".join(SPLITS[:3])}'
                )
            return found
        train, val, _ = self.split_ratios
        product = table[self.columns.get('product_id', self.columns['image'])]

        def draw(product_id: str) -> str:
            place = product_share(product_id, self.split_seed)
            return 'train' if place < train else 'val' if place < train + val else 'test'

        return product.map(draw)
