"""Features of images on the disk, by content, read by memory map.

A folder holds parts of two files each: ``<name>.f16``, rows of float16 (views, D), and
``<name>.keys``, the SHA-256 of each row's image. Rows are written before their keys, so a killed
process leaves no wrong row. Every writer has a part of its own: processes may write at a time.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from mvlt.datasets.pair_dataset import PairDataset

_KEY = 32  # bytes


def image_key(record: Mapping[str, Any]) -> bytes:
    """SHA-256 of a record's image: of the file ``img_path``, or of the array ``img``."""
    if 'img' in record:
        image = np.ascontiguousarray(record['img'])
        return hashlib.sha256(str(image.shape).encode() + image.tobytes()).digest()
    return hashlib.sha256(Path(record['img_path']).read_bytes()).digest()


def image_keys(dataset: PairDataset) -> list[bytes]:
    """:func:`image_key` of each record; b'' of an unreadable image if the dataset skips it."""
    keys = []
    for row in range(len(dataset)):
        try:
            keys.append(image_key(dataset.load(dataset.get_data_info(row))))
        except OSError:
            if dataset.on_error == 'raise':
                raise
            keys.append(b'')
    return keys


class FeatureCache:
    """Float16 features (views, D) of images, by :func:`image_key`.

    Args:
        folder: of one network and one pipeline; created if missing.
        views: augmented views of each image.
        dims: D.
    """

    def __init__(self, folder: str | Path, views: int, dims: int) -> None:
        self.folder = Path(folder)
        self.views = views
        self.dims = dims
        self.reload()

    def reload(self) -> None:
        """Read what has been written, by other processes too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        os.utime(self.folder)  # the least recently used folder is deleted first
        self._parts: list[np.ndarray] = []
        self._rows: dict[bytes, tuple[int, int]] = {}
        for path in sorted(self.folder.glob('*.keys')):
            keys, values = path.read_bytes(), path.with_suffix('.f16')
            size = 2 * self.views * self.dims
            count = min(len(keys) // _KEY, values.stat().st_size // size if values.exists() else 0)
            if not count:
                continue
            shape = (count, self.views, self.dims)
            for row in range(count):
                self._rows[keys[row * _KEY : (row + 1) * _KEY]] = (len(self._parts), row)
            self._parts.append(np.memmap(values, np.float16, 'r', shape=shape))

    def lacks(self, keys: Sequence[bytes]) -> list[int]:
        """Row of each key that is not in the cache, once; b'' is no image."""
        rows = {key: row for row, key in enumerate(keys) if key and key not in self}
        return list(rows.values())

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    def get(self, key: bytes, view: int) -> np.ndarray:
        """Float32 (D,); KeyError for an image that is not in the cache."""
        part, row = self._rows[key]
        return self._parts[part][row, view].astype(np.float32)

    @contextmanager
    def writer(self) -> Iterator[Any]:
        """A function (keys, float (B, views, D)) that adds images."""
        path = self.folder / uuid4().hex
        with open(f'{path}.f16', 'ab') as values, open(f'{path}.keys', 'ab') as keys:

            def write(of: Sequence[bytes], features: np.ndarray) -> None:
                values.write(np.ascontiguousarray(features, np.float16).tobytes())
                values.flush()
                keys.write(b''.join(of))
                keys.flush()

            yield write

    def make_room(self, size: int) -> list[Path]:
        """Delete sibling folders, the least recently used first, to keep ``size`` bytes in all.

        Returns:
            the deleted folders.
        """
        others = [path for path in self.folder.parent.iterdir() if path.is_dir()]
        others = sorted((p for p in others if p != self.folder), key=lambda p: p.stat().st_mtime)
        sizes = {path: _size(path) for path in [*others, self.folder]}
        deleted = []
        for path in others:
            if sum(sizes.values()) <= size:
                break
            shutil.rmtree(path, ignore_errors=True)
            deleted.append(path)
            del sizes[path]
        return deleted


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
