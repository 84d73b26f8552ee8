"""Entries of a gallery: images or texts, product ids and columns."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mvlt.config import labels_of
from mvlt.datasets import Catalogue, PairDataset
from mvlt.datasets.inputs import SUFFIXES, ImageInput, list_images, list_texts, to_array
from mvlt.datasets.table import SUFFIXES as TABLES

Source = str | Path | Sequence | PairDataset


class Records:
    """Entries of a gallery.

    Args:
        source: a table (CSV, Parquet, ...) or the folder with ``products.csv``, a folder or list of
            images, a list of texts or a ``.txt`` file (one text a line), or a dataset.
        texts: the gallery is of texts, not images.
        all_columns: :meth:`table` has every column of the table, not only the described columns.

    Raises:
        FileNotFoundError, KeyError, ValueError: no such source, or a wrong table.
    """

    def __init__(self, source: Source, texts: bool = False, all_columns: bool = False) -> None:
        self.images: list[ImageInput] = []
        self.texts: list[str] = []
        self.dataset: PairDataset | None = None
        self.root = Path()  # of relative paths
        source = table_of(source)
        if isinstance(source, str | Path):
            self._open_path(Path(source), texts, all_columns)
        elif isinstance(source, PairDataset):
            self.dataset = source
            source.full_init()
        elif texts:
            self.texts = list_texts(source)
        else:
            self.images = list_images(source)
        if self.dataset is not None:
            self.root = Path(os.path.realpath(self.dataset.data_root or '.'))
        if not len(self):
            raise ValueError(f'{source}: the gallery is empty')

    def _open_path(self, path: Path, texts: bool, all_columns: bool) -> None:
        if path.suffix.lower() in TABLES:
            self.dataset = open_catalogue(path, all_columns)
        elif texts and path.suffix.lower() == '.txt':
            self.texts = [line for line in path.read_text('utf-8').splitlines() if line.strip()]
        elif path.is_dir() and not texts:
            self.images, self.root = list_images(path), path
        else:
            legal = 'a .txt file' if texts else f'a folder of images ({", ".join(SUFFIXES)})'
            error = ValueError if path.exists() else FileNotFoundError
            raise error(f'{path}: give {legal}, a table ({", ".join(TABLES)}) or a list')

    def __len__(self) -> int:
        return len(self.images or self.texts if self.dataset is None else self.dataset)

    def product_id(self, index: int) -> str:
        """The id of an entry's product, shared by the product's images."""
        if self.dataset is not None:
            return str(self.dataset.get_data_info(index)['product_id'])
        return self.img_path(index) or str(index)

    def caption(self, index: int) -> str | None:
        """An entry's text, or None."""
        if self.dataset is None:
            return self.texts[index] if self.texts else None
        return self.dataset.get_data_info(index)['caption']

    @property
    def has_captions(self) -> bool:
        """Whether the first entry has a text."""
        return bool(self.caption(0))

    def path(self, index: int) -> Path | None:
        """The file of an entry's image; None for an image in memory or in an archive."""
        if self.dataset is None:
            image = self.images[index] if self.images else None
            return Path(image) if isinstance(image, str | Path) else None
        path = self.dataset.get_data_info(index).get('img_path')
        return Path(path) if path else None

    def img_path(self, index: int) -> str | None:
        """As :meth:`path`, relative to :attr:`root` if it lies below; links are not resolved."""
        path = self.path(index)
        if path is None:
            return None
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def read(self, index: int) -> np.ndarray:
        """An entry's image, uint8 (H, W, 3); OSError if it is unreadable."""
        if self.dataset is None:
            return to_array(self.images[index], index)
        record = self.dataset.load(self.dataset.get_data_info(index))
        return record['img'] if 'img' in record else to_array(record['img_path'], index)

    def table(self) -> dict[str, Any]:
        """Columns to filter by: name -> cell of each entry, None = unknown."""
        if self.dataset is None:
            return {}
        if isinstance(self.dataset, Catalogue):
            return self.dataset.table()
        records = [self.dataset.get_data_info(i) for i in range(len(self))]
        return {
            label: [names[r[label]] if r[label] >= 0 else None for r in records]
            for label, names in self.classes.items()
        }

    @property
    def classes(self) -> dict[str, list[str]]:
        """Category or attribute -> names of its classes."""
        meta = {} if self.dataset is None else self.dataset.metainfo
        return {label: list(meta[label]) for label in labels_of(meta)}


def table_of(source: Source) -> Source:
    """The table in a catalogue's folder (``products.csv``, ...); other sources as they are."""
    if isinstance(source, str | Path) and Path(source).is_dir():
        for suffix in TABLES:
            if (table := Path(source) / f'products{suffix}').is_file():
                return table
    return source


def open_catalogue(path: str | Path, all_columns: bool = False) -> Catalogue:
    """All rows of a table, also rows with missing images.

    Without a describing JSON file (:class:`mvlt.datasets.Catalogue`) column names decide.
    """
    path = Path(path)
    settings: dict[str, Any] = dict(
        data_root=str(path.parent), ann_file=path.name, columns='guess', caption=''
    )
    decided, _ = Catalogue.decide(settings)
    return Catalogue(
        **{**settings, **decided},
        split='all',
        on_error='skip',
        min_products=1,  # rare classes matter to training only
        allow_empty_caption=True,
        table_order=True,
        all_columns=all_columns,
    )
