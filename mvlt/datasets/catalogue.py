"""Any shop's catalogue: a table (CSV or Parquet) and a folder of pictures."""

import csv
import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from string import Formatter
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from mmengine.logging import print_log
from pyarrow import parquet

from mvlt.datasets.pair_dataset import PairDataset, product_share
from mvlt.files import read_json
from mvlt.registry import DATASETS
from mvlt.structures import CATEGORIES

KEYS = ('image', 'product_id', *CATEGORIES, 'split')
SPLITS = ('train', 'val', 'test', 'all')
_DESCRIPTION = {'columns', 'caption', 'attributes', 'wordings'}


@DATASETS.register_module()
class Catalogue(PairDataset):
    """One split of a catalogue; a row is a picture of a product.

    Without a ``split`` column the split follows a hash of the product id and ``split_seed``: the
    same on every machine, stable when rows are added, and all pictures of a product on one side.

    Args:
        ann_file: ``.csv`` (UTF-8) or ``.parquet``, below ``data_root``. Where there is no such CSV,
            a Parquet table of its name is taken.
        columns: which column holds ``image`` (path below ``data_root``), and, where there are any,
            ``product_id`` (else the image path), ``main_category``, ``sub_category``, ``split``;
            None = there is no such column. 'guess' goes by the columns' names, captions too.
        caption: template over the table's columns, e.g. '{title}. {colour} {kind}'. A JSON file of
            the table's name beside it (``products.json`` for ``products.csv``) with ``columns`` and
            ``caption`` goes before both arguments: every config then fits the catalogue. It may
            have ``attributes`` and ``wordings``, too.
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
        kwargs: mmengine's BaseDataset (data_root, pipeline, indices, test_mode, ...).

    A val split without rows is a warning: training then validates nothing.

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
        self.columns = {} if columns == 'guess' else _known_columns(columns, 'Catalogue')
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
        kwargs.setdefault('serialize_data', False)  # Rows are small and shared as they are
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> 'Rows':  # type: ignore[override]
        """Read the table's columns that are needed, check every row, keep those of the split."""
        other = Path(self.ann_file).with_suffix('.parquet')
        if not Path(self.ann_file).is_file() and other.is_file():
            self.ann_file = str(other)
        self._read_description()
        names = _column_names(self.ann_file)
        if self.guess:
            self._guess(names)
        needed = self._needed(names)
        table = _read_table(self.ann_file, list(names) if self.all_columns else needed)
        if self.ann_file.lower().endswith('.csv'):
            _refuse_more_cells_than_columns(self.ann_file)
        self._check_cells(table)
        table = self._handle_rare(table)
        splits = self._splits(table)
        chosen = table[splits == self.split] if self.split != 'all' else table
        if chosen.empty:
            line = (
                f"{self.ann_file}: no row belongs to split '{self.split}' "
                f'(rows a split: {dict(Counter(splits))}); add products or change split_ratios'
            )
            if self.split != 'val':
                raise ValueError(line)
            print_log(f'{line}; nothing is validated', 'current', level=30)
        training = table[splits == 'train'] if self.split != 'all' else table
        ids = self._number_categories(
            {key: list(chosen[self.columns[key]]) for key in CATEGORIES if key in self.columns},
            {key: list(training[self.columns[key]]) for key in CATEGORIES if key in self.columns},
            f'{self.ann_file}, split {self.split}',
        )
        for name, column in self.attributes.items():
            ids[name] = self._number_attribute(name, chosen[column], training[column])
        rows = Rows(chosen, {key: np.array(one, np.int32) for key, one in ids.items()}, self.record)
        # a wrong row is named now, not after hours of training
        for place, name in enumerate(chosen[self.columns['image']]):
            record = rows[place]
            self._check_is_there(record['img_path'], name, self._where(record['row']))
        return rows

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

    def record(self, row: int, cells: Mapping[str, str]) -> dict[str, Any]:
        """A row of the table as a record without categories.

        Args:
            row: its line.
            cells: column -> cell.
        """
        record: dict[str, Any] = dict(
            row=row,
            img_path=self._image_below_root(cells[self.columns['image']], self._where(row)),
            product_id=cells[self.columns.get('product_id', self.columns['image'])],
            caption=self._caption(row, cells),
        )
        if self.attributes:
            record['attributes'] = tuple(self.attributes)
        if self.wordings:
            filled = (self._filled(one, cells) for one in self.wordings)
            record['wordings'] = tuple(filter(None, filled))
        return record

    def _number_attribute(self, name: str, cells: pd.Series, training: pd.Series) -> list[int]:
        """Class ids, -1 where unknown, in order of first appearance in the training data."""
        known = [cell for cell in dict.fromkeys(training) if cell not in self.missing]
        others = [cell for cell in dict.fromkeys(cells) if cell not in {*known, *self.missing}]
        number = {cell: i for i, cell in enumerate((*known, *others))}
        self._metainfo[name] = tuple(number)
        self._metainfo[f'{name}_trained'] = len(known)
        return [number.get(cell, -1) for cell in cells]

    def _read_description(self) -> None:
        path = Path(self.ann_file).with_suffix('.json')
        if not path.is_file():
            return
        content = read_json(str(path), 'it describes the table beside it')
        if not isinstance(content, dict) or not content.keys() <= _DESCRIPTION:
            raise KeyError(
                f'{path}: an object with {", ".join(sorted(_DESCRIPTION))} is needed, no other key'
            )
        if 'columns' in content:
            self.guess = False
            self.columns = _known_columns(content['columns'], str(path))
            self.attributes, self.wordings = {}, ()  # those of a config are of other columns
        self.caption = content.get('caption', self.caption)
        self.attributes = dict(content.get('attributes', self.attributes))
        self.wordings = tuple(content.get('wordings', self.wordings))

    def _guess(self, names: Sequence[str]) -> None:
        description = guess_description(names)
        path = Path(self.ann_file).with_suffix('.json')
        if 'image' not in description['columns'] or not (self.caption or description['caption']):
            raise KeyError(
                f'{self.ann_file}: which columns hold image and caption does not show in their '
                f'names ({", ".join(names)}); write {path}, e.g. '
                f'{json.dumps({"columns": {"image": "photo"}, "caption": "{title}"})}'
            )
        self.columns = description['columns']
        self.attributes = description.get('attributes', {})
        self.wordings = tuple(description.get('wordings', ()))
        self.caption = self.caption or description['caption']

    def _needed(self, names: Sequence[str]) -> list[str]:
        """The columns that are read; the table must have them."""
        needed = [*self.columns.values(), *self.attributes.values()]
        for template in (self.caption, *self.wordings):
            try:
                needed += [name for _, name, _, _ in Formatter().parse(template) if name]
            except ValueError as error:
                raise ValueError(f"caption template '{template}': {error}") from error
        needed = list(dict.fromkeys(needed))
        for name in needed:
            if name not in names:
                raise KeyError(
                    f"{self.ann_file} has no column '{name}'; it has {', '.join(names)}. Say what "
                    f'they mean in {Path(self.ann_file).with_suffix(".json")}, perhaps: '
                    f'{json.dumps(guess_description(names), ensure_ascii=False)}'
                )
        return needed

    def _check_cells(self, table: pd.DataFrame) -> None:
        """No product without an id, a picture or, where there is such a column, a category."""
        for key, column in self.columns.items():
            if key == 'split':
                continue
            empty = table[table[column].str.strip().isin(self.missing)]
            if not empty.empty:
                raise ValueError(
                    f"{self.ann_file}, row {_row(empty.index[0])}: column '{column}' ({key}) says "
                    f"'{empty.iloc[0][column]}', which means unknown ({len(empty)} such rows); "
                    'fill it or delete the row'
                )

    def _handle_rare(self, table: pd.DataFrame) -> pd.DataFrame:
        product = table[self.columns.get('product_id', self.columns['image'])]
        for key in CATEGORIES:
            if key not in self.columns:
                continue
            categories = table[self.columns[key]]
            products = product.groupby(categories).nunique()
            rare = products[products < self.min_products]
            if rare.empty:
                continue
            listed = ', '.join(f"'{name}' ({n})" for name, n in rare.items())
            line = (
                f'{self.ann_file}: {len(rare)} {key} value(s) with fewer than {self.min_products} '
                f'products, first in row {_row(table[categories.isin(rare.index)].index[0])}: '
                f"{listed}. Merge or fill them, set rare='drop', or lower min_products"
            )
            if self.rare == 'error':
                raise ValueError(line)
            print_log(line, 'current', level=30)
            if self.rare == 'drop':
                keep = ~categories.isin(rare.index)
                table, product = table[keep], product[keep]
        return table

    def _splits(self, table: pd.DataFrame) -> pd.Series:
        if 'split' in self.columns:
            found = table[self.columns['split']]
            wrong = found[~found.isin(SPLITS[:3])]
            if not wrong.empty:
                raise ValueError(
                    f"{self.ann_file}, row {_row(wrong.index[0])}: split '{wrong.iloc[0]}'; "
                    f'legal: {", ".join(SPLITS[:3])}'
                )
            return found
        train, val, _ = self.split_ratios
        product = table[self.columns.get('product_id', self.columns['image'])]

        def draw(product_id: str) -> str:
            place = product_share(product_id, self.split_seed)
            return 'train' if place < train else 'val' if place < train + val else 'test'

        return product.map(draw)

    def _caption(self, row: int, cells: Mapping[str, str]) -> str:
        words = self._filled(self.caption, cells)
        if not words:
            raise ValueError(
                f'{self.ann_file}, row {row}: the caption is empty (template '
                f"'{self.caption}'); fill a column of the template or delete the row"
            )
        return words

    def _filled(self, template: str, cells: Mapping[str, str]) -> str:
        """A template with a product's cells; '' where no letter or digit is left."""
        known = {key: '' if cell in self.missing else cell for key, cell in cells.items()}
        words = ' '.join(template.format_map(known).split()).strip(' ,.;')
        return words if any(character.isalnum() for character in words) else ''


def _known_columns(columns: Mapping[str, str | None], source: str) -> dict[str, str]:
    """Those of ``columns`` that there are."""
    found = {key: column for key, column in columns.items() if column is not None}
    if set(found) - set(KEYS) or 'image' not in found:
        raise KeyError(
            f"{source}: columns needs 'image' and knows {', '.join(KEYS)}; got {dict(columns)}"
        )
    return found


def guess_description(names: Iterable[str]) -> dict[str, Any]:
    """What a JSON file beside a table would say, as its columns' names suggest.

    Returns:
        ``columns``, ``caption`` ('' = not known) and, where columns show them, ``attributes`` and
        ``wordings``.
    """
    found = {}
    plain = {''.join(c for c in str(name).lower() if c.isalnum()): str(name) for name in names}
    for key, usual in _USUAL.items():
        name = next((plain[one] for one in usual if one in plain), None)
        if name is not None:
            found[key] = name
    title = found.pop('caption', None)
    description: dict[str, Any] = dict(columns=found, caption=f'{{{title}}}' if title else '')
    attributes = {
        label: next(plain[one] for one in usual if one in plain)
        for label, usual in _ATTRIBUTES.items()
        if plain.keys() & set(usual)
    }
    if attributes:
        description['attributes'] = attributes
    kind = found.get('sub_category', found.get('main_category'))
    if kind:
        said = [[attributes[one] for one in wanted if one in attributes] for wanted in _SAID]
        phrases = [' '.join(f'{{{name}}}' for name in (*names, kind)) for names in said]
        description['wordings'] = list(dict.fromkeys(phrases))
    return description


# what shops call their columns, letters and digits only, the likeliest first
_USUAL = dict(
    image=('image', 'imagepath', 'imagefile', 'img', 'imgpath', 'picture', 'photo', 'filename'),
    product_id=('productid', 'id', 'sku', 'articlenumber', 'itemid'),
    main_category=('maincategory', 'mastercategory', 'category', 'group', 'productgroup'),
    sub_category=('subcategory', 'articletype', 'producttype', 'type', 'kind'),
    split=('split',),
    caption=('caption', 'title', 'productdisplayname', 'productname', 'name', 'description'),
)
_ATTRIBUTES = dict(
    colour=('basecolour', 'colour', 'color', 'maincolour', 'maincolor'),
    gender=('gender', 'sex', 'department'),
    season=('season',),
    usage=('usage', 'occasion'),
)
# attributes that a wording names before the kind of a product
_SAID = (('gender', 'colour'), ('colour',), ('gender',), (), ('usage',), ('season',))


def _row(index: int) -> int:
    """Line of the table as a spreadsheet counts: the header is line 1."""
    return int(index) + 2


def _column_names(path: str) -> list[str]:
    """Of a table, without reading it."""
    with _reading(path):
        if path.lower().endswith('.csv'):
            names = list(pd.read_csv(path, dtype=str, nrows=0, encoding='utf-8', index_col=False))
            if len(names) == 1 and (other := next((c for c in ';\t|' if c in names[0]), None)):
                raise ValueError(f'its columns are separated by {other!r}, commas are needed')
            return names
        return [name for name in parquet.read_schema(path).names if not name.startswith('__index')]


def _read_table(path: str, needed: Sequence[str]) -> pd.DataFrame:
    """Cells as text, '' where there is none; one row a line."""
    with _reading(path):
        if path.lower().endswith('.csv'):
            with warnings.catch_warnings():  # about commas at the end of rows, which are harmless
                warnings.simplefilter('ignore', pd.errors.ParserWarning)
                table = pd.read_csv(
                    path,
                    dtype=str,
                    keep_default_na=False,
                    encoding='utf-8',
                    index_col=False,  # such commas shift no column
                    skip_blank_lines=False,  # or rows would be numbered wrongly
                ).fillna('')
            return table[(table != '').any(axis=1)][list(needed)]
        table = pd.read_parquet(path, columns=list(needed))
        table = table.reset_index(drop=table.index.name is None)
        return table.astype(str).where(table.notna(), '')


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Says of a table that cannot be read why."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such table; set data_root (--data-root) and ann_file')
    if not path.lower().endswith(('.csv', '.parquet')):
        raise ValueError(f'{path}: a table is a .csv or a .parquet file')
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path}: not UTF-8 (byte {error.start}: {error.reason}); save the table as UTF-8'
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, OSError, ValueError) as error:
        raise ValueError(f'{path}: cannot be read as a table ({error})') from error


class Rows(Sequence):
    """Records of a table, each made when it is asked for.

    The table stays in columns: 500,000 products take tens of megabytes, not gigabytes, and data
    workers share them.

    Args:
        table: text, a row a line; its index is the line.
        ids: level -> class ids, int32, one a row.
        make: line and cells -> record.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        ids: Mapping[str, np.ndarray],
        make: Callable[[int, Mapping[str, str]], dict[str, Any]],
    ) -> None:
        self.lines = table.index.to_numpy()
        self.columns = {name: pa.array(table[name], pa.large_string()) for name in table.columns}
        self.ids = ids
        self.make = make
        self.chosen = np.arange(len(self.lines))

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, place: Any) -> Any:
        """A record, or the rows of a slice."""
        if isinstance(place, slice):
            part = copy(self)
            part.chosen = self.chosen[place]
            return part
        i = int(self.chosen[place])
        cells = {name: column[i].as_py() for name, column in self.columns.items()}
        record = self.make(_row(self.lines[i]), cells)
        return {**record, **{level: int(ids[i]) for level, ids in self.ids.items()}}


def _refuse_more_cells_than_columns(path: str) -> None:
    """A comma in an unquoted text would move what stands behind it to the next column."""
    with open(path, encoding='utf-8', newline='') as file:
        reader = csv.reader(file)
        columns = len(next(reader, []))
        for cells in reader:
            if any(cells[columns:]):
                raise ValueError(
                    f'{path}, line {reader.line_num}: {len(cells)} cells for {columns} columns; '
                    'put a text with commas in double quotes'
                )
