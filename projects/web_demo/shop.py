"""Search of the page: an index of the catalogue, its columns as filters."""

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mvlt.apis import ProductSearch
from mvlt.checkpoints.opening import OpenedModel
from mvlt.datasets.transforms.loading import read_image
from mvlt.retrieval.cache import CACHE, used
from mvlt.retrieval.indexing import Columns
from mvlt.retrieval.records import Records, Source

MAX_NAMES = 60  # a column with more different cells is no list to choose from
MAX_FILTERS = 5
ALIKE = 0.97  # cosine of two pictures


class Shop:
    """A catalogue that is searched by an index.

    Args:
        model: has towers.
        gallery: what is searched.
        index: place of its index; None = a folder of ``cache_dir`` that belongs to both.
        cache_dir: None = ``~/.cache/mvlt/galleries``.
    """

    def __init__(
        self,
        model: OpenedModel,
        gallery: Source,
        index: str | Path | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        self.records = Records(gallery, all_columns=True)
        columns = Columns(self.records)
        self.rows: dict[str, list[int]] = defaultdict(
            list
        )  # of a product: one a view, in their order
        for row, product_id in enumerate(columns.ids):
            self.rows[product_id].append(row)
        if index is None:
            own = ProductSearch(model, 'memory').fingerprint
            name = f'{own}{self.records.root.resolve()}{len(self.records)}{columns.kinds}'
            index = Path(
                cache_dir or CACHE, f'{hashlib.sha256(name.encode()).hexdigest()[:16]}.index'
            )
            if index.is_dir() and not (index / 'index.json').is_file():
                shutil.rmtree(index)  # left by a killed run
            elif index.is_dir():
                used(index)
        self.search = ProductSearch(model, index)
        self.search.build(gallery)
        self.names = _names(columns)
        self.prices = columns.kinds.get('price') == 'number'

    def find(
        self,
        words: str,
        picture: np.ndarray | None,
        like: str | None,
        chosen: Mapping[str, str],
        prices: tuple[float | None, float | None],
        topk: int,
        once: bool = False,
    ) -> list[dict[str, Any]]:
        """Products for words, a picture and a product that it should look like.

        Args:
            chosen: column -> the one value that they must have.
            prices: lowest and highest, None = any.
            once: products that look nearly the same are one.
        """
        where: dict[str, Any] = dict(chosen)
        bounds = {key: value for key, value in zip(('min', 'max'), prices) if value is not None}
        if bounds and self.prices:
            where['price'] = bounds
        return self.search(
            words or None,
            images=picture,
            products=[like] if like else [],
            topk=topk,
            where=where,
            fold=ALIKE if once else None,
        )

    def picture(self, found: Mapping[str, Any]) -> Image.Image | None:
        """A product's best picture, small enough to send; None where it cannot be read."""
        path = found['img_path']
        try:
            if path is None:
                row = self.rows[found['product_id']][found.get('view', 0)]
                image = Image.fromarray(self.records.read(row))
            else:
                image = Image.fromarray(read_image(str(self.records.root / path)))
        except (OSError, ValueError):
            return None
        image.thumbnail((320, 320))
        return image


def _names(columns: Columns) -> dict[str, list[str]]:
    """Columns to choose from, the categories first: name -> its different cells, sorted."""
    found: dict[str, list[str]] = {}
    levels = ('main_category', 'sub_category')
    for name in sorted(
        columns.texts, key=lambda one: (one not in levels, len(_distinct(columns, one)))
    ):
        names = _distinct(columns, name)
        few = 1 < len(names) <= min(MAX_NAMES, len(columns.ids) // 2)
        if few and columns.kinds[name] == 'text':
            found[name] = sorted(names)
    return dict(list(found.items())[:MAX_FILTERS])


def _distinct(columns: Columns, name: str) -> set[str]:
    return {cell for cell in columns.texts[name] if cell is not None}
