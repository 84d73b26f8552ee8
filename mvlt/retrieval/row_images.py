"""Images of an index's rows, read from the gallery's folder or from the gallery itself."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mvlt.datasets.inputs import to_array
from mvlt.retrieval.records import Records

_CACHED = 2048  # images that stay decoded, 400 MB at 256 px


class RowImages:
    """Reads the images of rows.

    Args:
        pixels: uint8 (H, W, 3) -> as the model reads it, uint8 (3, S, S).
        folder: that ``img_path`` of rows start from; None = the gallery's own.
    """

    def __init__(
        self, pixels: Callable[[np.ndarray], torch.Tensor], folder: str | Path | None
    ) -> None:
        self.records: Records | None = None
        self._pixels = pixels
        self._folder = folder
        self._cached = lru_cache(_CACHED)(self._read_file)

    @property
    def folder(self) -> Path | None:
        """The folder that ``img_path`` of rows start from."""
        if self._folder is not None:
            return Path(self._folder)
        return None if self.records is None else self.records.root

    def read(self, row: Mapping[str, Any]) -> np.ndarray:
        """Uint8 (H, W, 3).

        Raises:
            OSError: it cannot be read.
        """
        if row['img_path'] is not None and self.folder is not None:
            return to_array(self.folder / row['img_path'])
        if self.records is None:
            raise OSError(f'product {row["product_id"]}: give images=FOLDER to read its image')
        return self.records.read(self._rows[row['product_id']][row['image_index']])

    def pixels(self, rows: Sequence[Mapping[str, Any]]) -> dict[int, torch.Tensor]:
        """Index in ``rows`` -> image as the model reads it, of those that can be read.

        Raises:
            ValueError: none can.
        """
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
            raise ValueError('reranking reads images, and none is there: give images=FOLDER')
        return pixels

    def _read_file(self, path: str, _: int) -> torch.Tensor:
        return self._pixels(to_array(path))

    @cached_property
    def _rows(self) -> dict[str, list[int]]:
        """Rows of each product of a gallery whose images are no files."""
        assert self.records is not None
        rows: dict[str, list[int]] = {}
        for i in range(len(self.records)):
            rows.setdefault(self.records.product_id(i), []).append(i)
        return rows
