"""Uploaded images: decoding, files by content, and their upkeep."""

import hashlib
import io
import re
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from threading import Event
from typing import NamedTuple

import torch
from mmengine.logging import print_log

from mvlt.datasets.transforms.loading import open_image, read_image
from mvlt.deadline import check
from mvlt.files import written_whole
from mvlt.retrieval.search import Search
from projects.search_service.pools import Pool

FOLDER = 'uploads'  # below the folder of images
MAX_PIXELS = 25_000_000  # an image
KEPT_SECONDS = 3600  # a file without a product stays so long: its request may be running
_MAX_GIF = 2_000_000  # bytes
_MAX_SCANS = 100
_SUFFIXES = dict(JPEG='jpg', MPO='jpg', TIFF='tif')
_OURS = re.compile(r'[0-9a-f]{64}\.\w+')  # names of uploads
_UNREADABLE = f'images: unreadable image, or more than {MAX_PIXELS:,} pixels'


class Upload(NamedTuple):
    """An uploaded image: its bytes, the file's suffix and the model's input, uint8 (3, S, S)."""

    content: bytes
    suffix: str
    pixels: torch.Tensor


def decode(search: Search, contents: Sequence[bytes]) -> list[Upload]:
    """Decode images one after the other, so that one at a time is in memory.

    Raises:
        TimeoutError: the deadline has passed.
        ValueError: unreadable, or too large.
    """
    uploads = []
    for content in contents:
        check()
        try:
            if _is_slow(content):
                raise OSError('takes seconds to decode')
            with open_image(io.BytesIO(content), MAX_PIXELS) as opened:
                suffix = _SUFFIXES.get(str(opened.format), str(opened.format).lower())
            pixels = search.pixels(read_image(io.BytesIO(content), MAX_PIXELS))
        except (OSError, ValueError) as error:
            raise ValueError(_UNREADABLE) from error
        uploads.append(Upload(content, suffix, pixels))
    return uploads


def _is_slow(content: bytes) -> bool:
    """Whether a decoder would take seconds: GIF comments take quadratic time, every scan of a
    progressive JPEG decodes all pixels (cameras write ten)."""
    if content[:3] == b'GIF':
        return len(content) > _MAX_GIF
    return content[:2] == b'\xff\xd8' and content.count(b'\xff\xda') > _MAX_SCANS


def store(root: Path, upload: Upload) -> Path:
    """Write an upload into a file that is named by its content."""
    path = root / FOLDER / f'{hashlib.sha256(upload.content).hexdigest()}.{upload.suffix}'
    if path.is_file():
        path.touch()  # cleaning leaves new files
    else:
        with written_whole(path) as file:
            file.write(upload.content)
    return path


def clean(search: Search, hashes: Collection[str] | None = None) -> int:
    """Delete uploads that no product has, and return how many.

    Args:
        search: with its index and its folder of images.
        hashes: only these contents, however new their files are; None = all that are older than
            :data:`KEPT_SECONDS`.
    """
    folder = search.images / FOLDER if search.images else None
    if folder is None or not folder.is_dir():
        return 0
    stored = {*search.index.keys()['image_hash'].to_pylist()}
    deleted = 0
    for path in folder.iterdir():
        if not (path.is_file() and _OURS.fullmatch(path.name)):
            continue  # a shop may have a folder of this name
        if path.stem in stored or (hashes is not None and path.stem not in hashes):
            continue
        if hashes is None and time.time() - path.stat().st_mtime < KEPT_SECONDS:
            continue
        path.unlink(missing_ok=True)
        deleted += 1
    return deleted


def keep_up(search: Search, pool: Pool, hours: float, stop: Event) -> None:
    """Compact the index and delete uploads without a product, in the queue of the writers."""

    def clean_all() -> None:
        with search.index.writing():
            clean(search)

    while hours and not stop.wait(hours * 3600):
        for work in (search.index.compact, clean_all):
            try:
                pool.submit(work).result()
            except Exception as error:  # e.g. another process writes: try again next time
                print_log(f'upkeep: {" ".join(str(error).split())[:300]}', 'current', level=30)
