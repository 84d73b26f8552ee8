"""Images of an index's rows, from the gallery's folder or the gallery itself."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mvlt.datasets.inputs import to_array
from mvlt.retrieval.records import Records

_CACHE_SIZE = 2048  # decoded images, 400 MB at 256 px


class RowImages:
    """Reads the images of rows.

    Args:
        pixels: image uint8 (H, W, 3) -> the model's input, uint8 (3, S, S).
        folder: root of the rows' ``img_path``; None = the gallery's.
    """

    def __init__(
        self, pixels: Callable[[np.ndarray], torch.Tensor], folder: str | Path | None
    ) -> None:
        self.records: Records | None = None
        self._pixels = pixels
        self._folder = folder
        self._cached = lru_cache(_CACHE_SIZE)(self._read_file)

    @property
    def folder(self) -> Path | None:
        """Root folder of the rows' ``img_path``."""
        if self._folder is not None:
            return Path(self._folder)
        return None if self.records is None else self.records.root

    def read(self, row: Mapping[str, Any]) -> np.ndarray:
        """A row's image, uint8 (H, W, 3); OSError if it is unreadable."""
        if row['img_path'] is not None and self.folder is not None:
            return to_array(self.folder / row['img_path'])
        if self.records is None:
            raise OSError(f'product {row["product_id"]}: give images=FOLDER to read its image')
        return self.records.read(self._rows[row['product_id']][row['image_index']])

    def pixels(self, rows: Sequence[Mapping[str, Any]]) -> dict[int, torch.Tensor]:
        """Index in ``rows`` -> model input, of the readable images; ValueError if there is none."""
        pixels = {}
        for i, row in enumerate(rows):
            try:
                if row['img_path'] is None or self.folder is None:
                    pixels[i] = self._pixels(self.read(row))
                else:
                    path = os.path.join(self.folder, row['img_path'])
                    pixels[i] = self._cached(path, os.stat(path).st_mtime_ns)
            except OSError:
                continue
        if rows and not pixels:
            raise ValueError('reranking needs images and can read none: give images=FOLDER')
        return pixels

    def _read_file(self, path: str, _: int) -> torch.Tensor:
        return self._pixels(to_array(path))

    @cached_property
    def _rows(self) -> dict[str, list[int]]:
        """Rows of each product, for a gallery whose images are not files."""
        assert self.records is not None
        rows: dict[str, list[int]] = {}
        for i in range(len(self.records)):
            rows.setdefault(self.records.product_id(i), []).append(i)
        return rows
