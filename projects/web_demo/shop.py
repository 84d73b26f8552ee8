"""Search of the page, with the catalogue's columns as filters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mvlt.apis import Search
from mvlt.checkpoints.loading import OpenedModel
from mvlt.retrieval.records import Source

MAX_VALUES = 60  # columns with more distinct values are no filters
MAX_FILTERS = 5
DUPLICATE = 0.97  # cosine of two images


class Shop:
    """A catalogue and its index.

    Args:
        model: a model with an embedding or a matching head.
        gallery: see :meth:`mvlt.apis.Search.build`.
        index: see :class:`mvlt.apis.Search`; None = shared with the service.
    """

    def __init__(
        self, model: OpenedModel, gallery: Source, index: str | Path | None = None
    ) -> None:
        if index is None and not model.description.that_give('embedding'):
            index = 'memory'
        self.search = Search(model, index)
        self.search.build(gallery)
        assert self.search.records is not None
        self.records = self.search.records
        kinds = self.search.index.description.columns
        self.names = _names(self.records.table(), kinds, len(self.records))
        self.prices = kinds.get('price') == 'number'
        self.embeds = self.search.encoder is not None  # images can be queries

    def __call__(
        self,
        text: str,
        image: np.ndarray | None,
        like: str | None,
        chosen: Mapping[str, str],
        prices: tuple[float | None, float | None],
        topk: int,
        deduplicate: bool = False,
    ) -> list[dict[str, Any]]:
        """Rows for a query of text, image and product.

        Args:
            like: id of the query product.
            chosen: column -> required value.
            prices: lowest and highest; None = any.
            deduplicate: show near-duplicates once.
        """
        where: dict[str, Any] = dict(chosen)
        bounds = {key: value for key, value in zip(('min', 'max'), prices) if value is not None}
        if bounds and self.prices:
            where['price'] = bounds
        return self.search(
            text or None,
            images=image,
            products=[like] if like else [],
            topk=topk,
            where=where,
            dedup_threshold=DUPLICATE if deduplicate else None,
        )

    def image(self, row: dict[str, Any]) -> Image.Image | None:
        """A row's thumbnail; None if the image is unreadable."""
        try:
            image = Image.fromarray(self.search.read_image(row))
        except (OSError, ValueError):
            return None
        image.thumbnail((320, 320))
        return image


def _names(table: Mapping[str, Any], kinds: Mapping[str, str], rows: int) -> dict[str, list[str]]:
    """Filters, categories first: column -> sorted distinct values."""
    levels = ('main_category', 'sub_category')
    cells = {name: _distinct(column) for name, column in table.items()}
    names = sorted(cells, key=lambda name: (name not in levels, len(cells[name])))
    few = {
        name: sorted(cells[name])
        for name in names
        if 1 < len(cells[name]) <= min(MAX_VALUES, rows // 2) and kinds.get(name) == 'text'
    }
    return dict(list(few.items())[:MAX_FILTERS])


def _distinct(column: Sequence[Any]) -> set[str]:
    cells = column.to_pylist() if hasattr(column, 'to_pylist') else column
    return {cell for cell in cells if cell is not None}
