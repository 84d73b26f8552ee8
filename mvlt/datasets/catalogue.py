"""A shop's catalogue: a table and a folder of images."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from mmengine.logging import print_log

from mvlt.datasets.brands import BY_CAPTION, Brands, brand_key
from mvlt.datasets.catalogue_table import CatalogueTable, TableRecords, TableRules, open_table
from mvlt.datasets.column_guesses import brand_column
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
from mvlt.datasets.table import column_names, find_table, read_sample
from mvlt.registry import DATASETS
from mvlt.structures import CATEGORIES, text_key

_LEGAL = (*SPLITS, 'all')


class CaptionTemplate(NamedTuple):
    """A template of captions, and the columns that it reads."""

    template: Template
    names: tuple[str, ...]


@DATASETS.register_module()
class Catalogue(PairDataset):
    """One split of a catalogue; a record is an image of a product.

    The arguments name every column; :meth:`decide` finds them by ``products.json`` and the table,
    and the tools call it (:mod:`mvlt.engine.resolve`). Equal rows, different captions of one
    product id and a val split without rows are warnings.

    Args:
        ann_file: table below ``data_root``: CSV, TSV, Parquet, JSON lines or a sheet
            (:mod:`mvlt.datasets.table`). If it is missing, the same name with another suffix.
        columns: key -> column, None = no such column. ``image`` is required: a path below
            ``data_root``, or several (``a.jpg|b.jpg``). Optional are ``product_id`` (default: the
            cell of ``image``), ``main_category``, ``sub_category`` and ``split``.
        caption: template over the columns, e.g. '{title}. {colour} {kind}' or '{title|brand kind}'
            (:class:`mvlt.datasets.columns.Template`).
        attributes: attribute -> column, e.g. dict(colour='baseColour'). Records have the class id
            of each, -1 if unknown.
        caption_templates: more templates. They give a record its ``other_captions``, for
            :class:`mvlt.datasets.AugmentCaption`; empty results are skipped.
        split: 'train', 'val', 'test' or 'all'. Without a ``split`` column a hash of product id and
            ``split_seed`` assigns all images of a product to one split, the same on every machine
            and when rows are added.
        split_ratios: shares of train, val and test, which add up to 1.
        split_seed: part of the hash.
        split_by: hold out whole groups: products with the same cell of this column are in one
            split, by a hash of the cell; an unknown cell counts as the product id. A column, a key
            of ``columns`` or ``attributes``, or 'brand'. It overrides a ``split`` column. Shares
            are of the groups, so the sizes of splits may be far from ``split_ratios``.
        brand: the column of brands, or 'caption' if captions begin with the brand
            (:class:`mvlt.datasets.brands.Brands`). Records then have ``brand``, for
            :class:`mvlt.datasets.AugmentCaption`. 'guess' lets :meth:`decide` look for a column.
        missing: cells that mean "unknown"; captions omit them.
        min_products: a category with fewer products in the whole table is rare.
        on_rare_class: 'warn' and keep rare categories, 'drop' their rows, or 'error'.
        all_columns: :meth:`table` returns every column, not only those named here.
        encoding: of a text file; None detects it.
        clean: remove HTML from texts.
        max_missing_ratio: share of rows that may lack an image or a caption. Up to it such rows are
            dropped with a warning; more are an error. None: ``on_error`` decides on missing images,
            and an empty caption is an error.
        allow_empty_caption: keep rows without a caption, e.g. of a gallery.
        table_order: keep the order of the table, whose first image of a product is its main one.
            By default records are sorted by product id and image, so that training does not depend
            on the table's order.
        kwargs: see :class:`PairDataset`.

    Raises:
        FileNotFoundError, KeyError, ValueError: wrong table, column, image, caption, split or
            category; the message names file, row and remedy.
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
        split_by: str | None = None,
        brand: str | None = None,
        attributes: Mapping[str, str] | None = None,
        caption_templates: Sequence[str] = (),
        missing: Sequence[str] = ('', 'NA', 'nan', 'None'),
        min_products: int = 2,
        on_rare_class: Literal['warn', 'drop', 'error'] = 'warn',
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
        if brand == 'guess':
            raise ValueError("Catalogue.brand='guess': Catalogue.decide(settings) guesses it")
        if split not in _LEGAL:
            raise ValueError(f"Catalogue.split='{split}'; legal: {', '.join(_LEGAL)}")
        if on_rare_class not in ('warn', 'drop', 'error'):
            raise ValueError(f"Catalogue.on_rare_class='{on_rare_class}'; legal: warn, drop, error")
        if len(split_ratios) != 3 or abs(sum(split_ratios) - 1) > 1e-6 or min(split_ratios) < 0:
            raise ValueError(
                f'Catalogue.split_ratios={split_ratios}: three shares that add up to 1'
            )
        self.columns = known_columns(columns, 'Catalogue')
        self.caption = caption
        self.attributes = dict(attributes or {})
        self.labels = {key: self.columns[key] for key in CATEGORIES if key in self.columns}
        self.labels |= self.attributes
        self.caption_templates = tuple(caption_templates)
        self.split = split
        self.split_ratios = tuple(split_ratios)
        self.split_seed = split_seed
        self.split_by = split_by
        self.brand = brand
        self._brands = Brands(())
        self.missing = frozenset(missing)
        self.all_columns = all_columns
        self.rules = TableRules(
            columns=tuple(sorted(self.columns.items())),
            caption=caption,
            missing=self.missing,
            min_products=min_products,
            on_rare_class=on_rare_class,
            encoding=encoding,
            clean=clean,
            max_missing_ratio=max_missing_ratio,
            allow_empty_caption=allow_empty_caption,
            table_order=table_order,
        )
        kwargs.setdefault('serialize_data', False)  # TableRecords are small, and shared
        super().__init__(ann_file=ann_file, **kwargs)

    @classmethod
    def decide(cls, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Arguments that depend on the data, and the source of each.

        Args:
            settings: arguments of a config; ``columns`` and ``brand`` may be 'guess', ``caption``
                ''.

        Returns:
            Values of ``ann_file``, ``columns``, ``caption``, ``attributes``,
            ``caption_templates`` and, if used, ``brand``; argument -> 'the config', 'the table' or
            the path of a ``products.json``.

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
        brand = settings.get('brand') or ('guess' if settings.get('split_by') == 'brand' else None)
        if brand == 'guess':
            decided['brand'] = meaning.attributes.get('brand') or brand_column(names) or BY_CAPTION
            sources['brand'] = 'the table'
        return decided, {'ann_file': 'the data', **sources}

    def load_data_list(self) -> TableRecords:  # type: ignore[override]
        """Records of the split."""
        self.ann_file = str(find_table(self.ann_file))
        names = column_names(Path(self.ann_file), self.rules.encoding)
        table, columns = self._open(names)
        self._caption = Template(self.caption, names)
        templates = [Template(text, names) for text in self.caption_templates]
        self._templates = [CaptionTemplate(t, tuple(sorted({*t.columns}))) for t in templates]
        captions = self._captions(table) if self.brand == BY_CAPTION else []
        if captions:
            cells = [table.columns[column] for column in self.labels.values()]
            classes = {name for column in cells for name in pc.unique(column).to_pylist()}
            self._brands = Brands(captions, classes - self.missing)
        groups = self._groups(table, captions)
        splits = self._splits(table, groups)
        everything = self.split == 'all'
        lines = np.arange(len(splits)) if everything else np.flatnonzero(splits == self.split)
        if not len(lines):
            line = (
                f"{self.ann_file}: no row belongs to split '{self.split}' "
                f'(rows of each: {dict(Counter(splits.tolist()))}); add products or change '
                'split_ratios or split_seed'
            )
            if self.split != 'val':
                raise ValueError(line)
            print_log(f'{line}; training validates nothing', 'current', level=30)
        if self.split_by is not None:
            sizes = Counter(groups[line] for line in lines)
            largest = ', '.join(f'{name} {n}' for name, n in sizes.most_common(3))
            print_log(
                f"{self.ann_file}, split '{self.split}' by {self.split_by}: {len(lines)} of "
                f'{len(splits)} rows, {len(sizes)} of {len(set(groups))} groups, largest {largest}',
                'current',
            )
        training = lines if everything else np.flatnonzero(splits == 'train')
        ids = self._number_categories(
            {key: table.cells(column, lines) for key, column in self.labels.items()},
            {key: table.cells(column, training) for key, column in self.labels.items()},
            f'{self.ann_file}, split {self.split}',
            self.missing,
        )
        class_ids = {key: np.array(values, np.int32) for key, values in ids.items()}
        return TableRecords(table, columns, lines, class_ids, self.record)

    def _open(self, names: Sequence[str]) -> tuple[CatalogueTable, list[str]]:
        """The table, and the columns that records are made of."""
        meaning = Meaning(self.columns, self.caption, self.attributes, self.caption_templates)
        needed = columns_read(meaning, names)
        needed += [name for name in (self.brand, self._split_column()) if name]
        needed = [name for name in needed if name != BY_CAPTION or self.brand != BY_CAPTION]
        lacking = [name for name in needed if name not in names]
        if lacking:
            raise KeyError(
                f"{self.ann_file} has no column '{lacking[0]}'; it has {', '.join(names)}. Name "
                'the right one; tools/check_dataset.py shows the meaning of each'
            )
        columns = list(names) if self.all_columns else list(dict.fromkeys(needed))
        strict = self.rules.max_missing_ratio is None and self.on_error == 'raise'
        rules = self.rules._replace(path=self.ann_file, root=self._root, strict=strict)
        return open_table(rules, columns), columns

    def table(self) -> dict[str, pa.Array]:
        """Columns of the rows as text, null if unknown, categories and attributes by their keys.

        The columns of image, product id and split are omitted.
        """
        self.full_init()
        rows = self.data_list
        labels = {column: key for key, column in self.labels.items()}
        omitted = {self.columns.get(key) for key in ('image', 'product_id', 'split')} - set(labels)
        unknown = pa.array(sorted(self.missing), pa.large_string())
        columns = {}
        for name, cells in rows.columns.items():
            if name not in omitted:
                cells = cells.take(pa.array(rows.lines))
                columns[labels.get(name, name)] = pc.if_else(pc.is_in(cells, unknown), None, cells)
        return columns

    def record(self, row: int, cells: Mapping[str, str], image_path: str) -> dict[str, Any]:
        """An image of a table's row as a record without class ids.

        Args:
            row: of the table.
            cells: column -> cell.
            image_path: below ``data_root``.
        """
        record: dict[str, Any] = dict(
            row=row,
            img_path=os.path.join(self._root, image_path),
            product_id=cells[self.columns.get('product_id', self.columns['image'])],
            caption=self._caption.fill(cells, self.missing),
        )
        if self.brand == BY_CAPTION:
            record['brand'] = self._brands.of(record['caption'])
        elif self.brand:
            record['brand'] = '' if cells[self.brand] in self.missing else cells[self.brand]
        if self.attributes:
            record['attributes'] = tuple(self.attributes)
        if self.caption_templates:
            filled = [
                (caption, self._caption_key(columns, cells))
                for template, columns in self._templates
                if (caption := template.fill(cells, self.missing))
            ]
            record['other_captions'] = tuple(caption for caption, _ in filled)
            record['other_caption_keys'] = tuple(key for _, key in filled)
        return record

    def _caption_key(self, columns: Sequence[str], cells: Mapping[str, str]) -> str:
        """What a caption of these columns says: products with equal cells have equal keys."""
        return '\x1f'.join(
            f'{name}={text_key(cells[name])}' for name in columns if cells[name] not in self.missing
        )

    def _captions(self, table: CatalogueTable) -> list[str]:
        """The caption of each line."""
        names = list(dict.fromkeys(self._caption.columns))
        columns = {name: table.columns[name].to_pylist() for name in names}
        return [
            self._caption.fill({name: columns[name][line] for name in names}, self.missing)
            for line in range(len(table.rows))
        ]

    def _split_column(self) -> str | None:
        """The column by which splits are drawn; BY_CAPTION for the beginning of captions."""
        if self.split_by == 'brand' and self.brand:
            return self.brand
        named = {**self.attributes, **self.columns}
        return None if self.split_by is None else named.get(self.split_by, self.split_by)

    def _groups(self, table: CatalogueTable, captions: Sequence[str]) -> list[str]:
        """What stays in one split: the product id of each line, or the group that it is in."""
        everything = np.arange(len(table.rows))
        ids = table.cells(self.columns.get('product_id', self.columns['image']), everything)
        column = self._split_column()
        if column is None:
            return ids
        if column == self.brand == BY_CAPTION:
            groups = [brand_key(caption) for caption in captions]
        else:
            cells = table.cells(column, everything)
            groups = ['' if cell in self.missing else text_key(cell) for cell in cells]
        first = dict(zip(reversed(ids), reversed(groups)))  # of a product's rows
        return [first[product_id] or product_id for product_id in ids]

    def _splits(self, table: CatalogueTable, groups: Sequence[str]) -> np.ndarray:
        """The split of each line, text (lines,)."""
        if 'split' in self.columns and self.split_by is None:
            names = table.cells(self.columns['split'], np.arange(len(table.rows)))
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

        def draw(group: str) -> str:
            share = product_share(group, self.split_seed)
            return 'train' if share < train else 'val' if share < train + val else 'test'

        splits = {group: draw(group) for group in dict.fromkeys(groups)}
        return np.array([splits[group] for group in groups], object)
