"""Any shop's catalogue: a table and a folder of pictures."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from mmengine.logging import print_log

from mvlt.datasets.catalogue_table import CatalogueTable, TableRules, open_table
from mvlt.datasets.columns import (
    SPLITS,
    Meaning,
    Template,
    columns_read,
    decide,
    known_columns,
    split_of,
)
from mvlt.datasets.pair_dataset import PairDataset, product_share
from mvlt.datasets.rows import Rows
from mvlt.datasets.table import column_names, find_table, read_sample
from mvlt.registry import DATASETS
from mvlt.structures import CATEGORIES, text_key

_LEGAL = (*SPLITS, 'all')


class CaptionTemplate(NamedTuple):
    """Another way to say what a product is.

    names: the columns that it reads; two products that are equal there are described alike.
    """

    template: Template
    names: tuple[str, ...]


@DATASETS.register_module()
class Catalogue(PairDataset):
    """One split of a catalogue; a record is a picture of a product.

    It reads what its arguments name and decides nothing: what ``products.json`` and the table say
    of the columns is written into the arguments by :meth:`decide`, which the tools call
    (:mod:`mvlt.engine.resolve`).

    Without a ``split`` column the split follows a hash of the product id and ``split_seed``: the
    same on every machine, stable when rows are added, and all pictures of a product on one side.

    Args:
        ann_file: table below ``data_root``: CSV, TSV, Parquet, JSON lines or a sheet
            (:mod:`mvlt.datasets.table`). Where there is none of its name, one of another suffix is
            taken.
        columns: which column holds ``image`` (path below ``data_root``, or several:
            ``a.jpg|b.jpg``), and, where there are any, ``product_id`` (else the image's cell),
            ``main_category``, ``sub_category``, ``split``; None = there is no such column.
        caption: template over the table's columns, e.g. '{title}. {colour} {kind}' or
            '{title|brand kind}' (:class:`mvlt.datasets.columns.Template`).
        attributes: what else products are known by, label -> column: dict(colour='baseColour'). A
            record then has the number of its class, -1 where the cell means "unknown".
        caption_templates: templates as ``caption``, other ways to say what a product is, for
            :class:`mvlt.datasets.AugmentCaption`; one that gives no word for a product is left out.
        split: 'train', 'val', 'test' or 'all'.
        split_ratios: shares of train, val and test; they add up to 1.
        split_seed: part of the hash.
        missing: cell values that mean "unknown"; they leave no trace in a caption.
        min_products: a category with fewer products in the whole table is rare.
        rare: what happens then: 'warn' and keep, 'drop' its rows, or 'error'.
        all_columns: :meth:`table` has every column, not only those that are named here.
        encoding: of a text file; None = told by its bytes.
        clean: HTML is left out of texts.
        max_missing_ratio: share of the rows that may lack a picture or a caption: they are left
            out, which a
            line says; more of them are an error. None: a missing picture is as ``on_error`` says,
            a row without a caption an error.
        allow_empty_caption: rows without a caption stay, with an empty one: what is only searched
            needs none.
        table_order: records follow the table, whose first picture of a product is its main one;
            else product id and picture, so that a table that is sorted anew trains the same.
        kwargs: of :class:`PairDataset` (classes, data_root, pipeline, indices, test_mode, ...).

    Products of one id with different captions, and rows that are equal, are a warning; so is a val
    split without rows: training then validates nothing.

    Raises:
        FileNotFoundError, KeyError, ValueError: table, column, picture, caption, split or category
            is wrong; the message names file, row and remedy.
    """

    splits = SPLITS
    ann_file: str

    def __init__(
        self,
        ann_file: str,
        columns: Mapping[str, str | None],
        caption: str,
        split: str = 'train',
        split_ratios: Sequence[float] = (0.8, 0.1, 0.1),
        split_seed: int = 0,
        attributes: Mapping[str, str] | None = None,
        caption_templates: Sequence[str] = (),
        missing: Sequence[str] = ('', 'NA', 'nan', 'None'),
        min_products: int = 2,
        rare: Literal['warn', 'drop', 'error'] = 'warn',
        all_columns: bool = False,
        encoding: str | None = None,
        clean: bool = True,
        max_missing_ratio: float | None = None,
        allow_empty_caption: bool = False,
        table_order: bool = False,
        **kwargs: Any,
    ) -> None:
        if columns == 'guess':
            raise ValueError("Catalogue.columns='guess': Catalogue.decide(settings) guesses them")
        if split not in _LEGAL:
            raise ValueError(f"Catalogue.split='{split}'; legal: {', '.join(_LEGAL)}")
        if rare not in ('warn', 'drop', 'error'):
            raise ValueError(f"Catalogue.rare='{rare}'; legal: warn, drop, error")
        if len(split_ratios) != 3 or abs(sum(split_ratios) - 1) > 1e-6 or min(split_ratios) < 0:
            raise ValueError(
                f'Catalogue.split_ratios={split_ratios}: three shares that add up to 1'
            )
        self.columns = known_columns(columns, 'Catalogue')
        self.caption = caption
        self.attributes = dict(attributes or {})
        self.caption_templates = tuple(caption_templates)
        self.split = split
        self.split_ratios = tuple(split_ratios)
        self.split_seed = split_seed
        self.missing = frozenset(missing)
        self.all_columns = all_columns
        self.rules = TableRules(
            columns=tuple(sorted(self.columns.items())),
            caption=caption,
            missing=self.missing,
            min_products=min_products,
            rare=rare,
            encoding=encoding,
            clean=clean,
            max_missing_ratio=max_missing_ratio,
            allow_empty_caption=allow_empty_caption,
            table_order=table_order,
        )
        kwargs.setdefault('serialize_data', False)  # Rows are small and shared as they are
        super().__init__(ann_file=ann_file, **kwargs)

    @classmethod
    def decide(cls, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Arguments that only the data know, and who says each of them.

        Args:
            settings: arguments as a config has them; ``columns`` may be 'guess', ``caption`` ''.

        Returns:
            ``ann_file``, ``columns``, ``caption``, ``attributes`` and ``caption_templates`` as
            they are to be; argument -> 'the config', 'the table' or the path of a
            ``products.json``.

        Raises:
            FileNotFoundError, KeyError, ValueError: no such table; see
                :func:`mvlt.datasets.columns.decide`.
        """
        root, encoding = settings.get('data_root') or '', settings.get('encoding')
        path = find_table(os.path.join(root, settings['ann_file']))
        names = column_names(path, encoding)
        columns = settings['columns']
        given = None
        if columns != 'guess':
            given = Meaning(
                columns,
                settings.get('caption', ''),
                dict(settings.get('attributes') or {}),
                tuple(settings.get('caption_templates') or ()),
            )
        meaning, sources = decide(path, names, lambda: read_sample(path, encoding), given)
        decided = dict(meaning._asdict(), ann_file=os.path.relpath(path, root or '.'))
        return decided, {'ann_file': 'the data', **sources}

    def load_data_list(self) -> Rows:  # type: ignore[override]
        """The rows of the split, of a table that is read and checked once."""
        self.ann_file = str(find_table(self.ann_file))
        names = column_names(Path(self.ann_file), self.rules.encoding)
        table, columns = self._open(names)
        self._title = Template(self.caption, names)
        self._templates = [self._wording(text, names) for text in self.caption_templates]
        splits = self._splits(table)
        mine = (
            np.arange(len(splits)) if self.split == 'all' else np.flatnonzero(splits == self.split)
        )
        if not len(mine):
            line = (
                f"{self.ann_file}: no row belongs to split '{self.split}' "
                f'(rows a split: {dict(Counter(splits.tolist()))}); add products or change '
                'split_ratios'
            )
            if self.split != 'val':
                raise ValueError(line)
            print_log(f'{line}; nothing is validated', 'current', level=30)
        training = mine if self.split == 'all' else np.flatnonzero(splits == 'train')
        labels = {key: self.columns[key] for key in CATEGORIES if key in self.columns}
        labels |= self.attributes
        ids = self._number_categories(
            {key: table.cells(column, mine) for key, column in labels.items()},
            {key: table.cells(column, training) for key, column in labels.items()},
            f'{self.ann_file}, split {self.split}',
            self.missing,
        )
        numbers = {key: np.array(values, np.int32) for key, values in ids.items()}
        return Rows(table, columns, mine, numbers, self.record)

    def _open(self, names: Sequence[str]) -> tuple[CatalogueTable, list[str]]:
        """The table and the columns of it that records are made of."""
        needed = columns_read(
            Meaning(self.columns, self.caption, self.attributes, tuple(self.caption_templates)),
            names,
        )
        lacking = [name for name in needed if name not in names]
        if lacking:
            raise KeyError(
                f"{self.ann_file} has no column '{lacking[0]}'; it has {', '.join(names)}. Name "
                'the right one: tools/check_dataset.py says what the columns are taken for'
            )
        columns = list(names) if self.all_columns else list(dict.fromkeys(needed))
        strict = self.rules.max_missing_ratio is None and self.on_error == 'raise'
        rules = self.rules._replace(path=self.ann_file, root=self._root, strict=strict)
        return open_table(rules, columns), columns

    def _wording(self, text: str, names: Sequence[str]) -> CaptionTemplate:
        template = Template(text, names)
        return CaptionTemplate(template, tuple(sorted({*template.columns})))

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
        columns = {}
        for name, cells in rows.columns.items():
            if name not in aside:
                cells = cells.take(pa.array(rows.chosen))
                columns[labels.get(name, name)] = pc.if_else(pc.is_in(cells, unknown), None, cells)
        return columns

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
        if self.caption_templates:
            filled = [
                (words, self._describes(wording, cells))
                for wording in self._templates
                if (words := wording.template.fill(cells, self.missing))
            ]
            record['other_captions'] = tuple(words for words, _ in filled)
            record['other_caption_keys'] = tuple(key for _, key in filled)
        return record

    def _describes(self, wording: CaptionTemplate, cells: Mapping[str, str]) -> str:
        """All that a wording names of a product, columns and their cells; '' if nothing."""
        named = [
            f'{name}={text_key(cells[name])}'
            for name in wording.names
            if cells[name] not in self.missing
        ]
        return '\x1f'.join(named)

    def _splits(self, table: CatalogueTable) -> np.ndarray:
        """Of each line, text (lines,)."""
        everything = np.arange(len(table.rows))
        if 'split' in self.columns:
            names = table.cells(self.columns['split'], everything)
            cells = np.array([split_of(name) for name in names], object)
            wrong = ~np.isin(cells, SPLITS)
            if wrong.any():
                first = np.flatnonzero(wrong)[table.rows[wrong].argmin()]
                raise ValueError(
                    f"{self.ann_file}, row {table.rows[first]}: split '{names[first]}'; "
                    f'legal: {", ".join(SPLITS)}'
                )
            return cells
        train, val, _ = self.split_ratios
        ids = table.cells(self.columns.get('product_id', self.columns['image']), everything)

        def draw(product_id: str) -> str:
            share = product_share(product_id, self.split_seed)
            return 'train' if share < train else 'val' if share < train + val else 'test'

        drawn = {product_id: draw(product_id) for product_id in dict.fromkeys(ids)}
        return np.array([drawn[product_id] for product_id in ids], object)
