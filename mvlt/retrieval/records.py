"""What is searched in: pictures or texts, read once and kept on the disk.

Legend: I pictures, J texts, H, W sides of the model's picture.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import print_log

from mvlt.config import labels_of
from mvlt.datasets import Catalogue, PairDataset
from mvlt.datasets.inputs import SUFFIXES, Picture, list_pictures, list_texts, to_array
from mvlt.datasets.table import SUFFIXES as TABLES
from mvlt.files import file_sha256, remove_partial, write_text, written_whole
from mvlt.retrieval.cache import trim, used

Source = str | Path | Sequence | PairDataset
_BLOCK = 256  # pictures in memory at once


class Records:
    """Entries of a gallery: what is known of each, without its pixels.

    Args:
        source: folder of pictures, catalogue (CSV or Parquet), list of pictures, or dataset.
        all_columns: of a catalogue, for :meth:`table`.

    Raises:
        FileNotFoundError, KeyError, ValueError: it is none of these, or the catalogue is wrong.
    """

    def __init__(self, source: Source, all_columns: bool = False) -> None:
        self.pictures: list[Picture] = []
        self.dataset: PairDataset | None = None
        source = table_of(source)
        if isinstance(source, str | Path) and Path(source).suffix.lower() in TABLES:
            self.dataset = open_catalogue(source, all_columns)
        elif isinstance(source, PairDataset):
            self.dataset = source
            source.full_init()
        elif isinstance(source, str | Path) and not Path(source).is_dir():
            raise FileNotFoundError(
                f'{source}: a folder of pictures ({", ".join(SUFFIXES)}), a catalogue '
                f'({", ".join(TABLES)}) or a list is needed'
            )
        else:
            self.pictures = list_pictures(source)

    def __len__(self) -> int:
        return len(self.pictures if self.dataset is None else self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``index``, and what is known of ``img_path``, ``caption``, ``product_id``, labels."""
        if self.dataset is None:
            picture = self.pictures[index]
            known = dict(img_path=str(picture)) if isinstance(picture, str | Path) else {}
            return dict(index=index, **known)
        record = self.dataset.get_data_info(index)
        found = {key: record[key] for key in ('img_path', 'caption', 'product_id') if key in record}
        for label in labels_of(self.dataset.metainfo):
            if record.get(label, -1) >= 0:
                found[label] = self.dataset.metainfo[label][record[label]]
        return dict(index=index, **found)

    def labels(self) -> dict[str, tuple[list[str], np.ndarray]]:
        """Category or attribute -> names, and each entry's number in them, -1 = unknown, int32."""
        if self.dataset is None:
            return {}
        names = labels_of(self.dataset.metainfo)
        found = {label: np.empty(len(self), np.int32) for label in names}
        for i in range(len(self)):
            record = self.dataset.get_data_info(i)
            for label in names:
                found[label][i] = record[label]
        return {label: (list(self.dataset.metainfo[label]), found[label]) for label in names}

    def products(self) -> np.ndarray:
        """Number of each entry's product, int64 (I,): views of one product have one."""
        if self.dataset is None:
            return np.arange(len(self))
        number: dict[str, int] = {}
        return np.array(
            [
                number.setdefault(self.dataset.get_data_info(i)['product_id'], len(number))
                for i in range(len(self))
            ],
            np.int64,
        )

    def captions(self, limit: int | None = None) -> list[str]:
        """One an entry, of the first ``limit``; empty where there are none."""
        if self.dataset is None:
            return []
        return [self.dataset.get_data_info(i)['caption'] for i in range(len(self))[:limit]]

    @property
    def root(self) -> Path:
        """The folder that the pictures lie in."""
        if self.dataset is not None:
            return Path(self.dataset.data_root or '.')
        paths = [path.parent for i in range(len(self)) if (path := self.path(i)) is not None]
        return paths[0] if paths else Path()

    def table(self) -> dict[str, Any]:
        """What is known besides the pictures: column -> text of each entry, null where unknown."""
        if isinstance(self.dataset, Catalogue):
            return self.dataset.table()
        return {
            label: [names[i] if i >= 0 else None for i in numbers]
            for label, (names, numbers) in self.labels().items()
        }

    def path(self, index: int) -> Path | None:
        """The file of a picture, where it is one."""
        if self.dataset is None:
            picture = self.pictures[index]
            return Path(picture) if isinstance(picture, str | Path) else None
        path = self.dataset.get_data_info(index).get('img_path')
        return Path(path) if path else None

    def read(self, index: int) -> np.ndarray:
        """A picture, uint8 (H, W, 3).

        Raises:
            OSError: it cannot be read.
        """
        if self.dataset is None:
            return to_array(self.pictures[index], index)
        record = self.dataset.load(self.dataset.get_data_info(index))
        return record['img'] if 'img' in record else to_array(record['img_path'], index)


def table_of(source: Source) -> Source:
    """The catalogue's table where ``source`` is the folder with one (``products.csv``)."""
    if isinstance(source, str | Path) and Path(source).is_dir():
        for suffix in TABLES:
            if (table := Path(source) / f'products{suffix}').is_file():
                return table
    return source


def open_catalogue(path: str | Path, all_columns: bool = False) -> Catalogue:
    """All rows of a table with the pictures beside it, missing ones too.

    Without a JSON file that describes it (:class:`mvlt.datasets.Catalogue`) the columns are those
    that their names suggest.
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
        min_products=1,  # how many there are of a category matters to training only
        wordless=True,
        table_order=True,
        all_columns=all_columns,
    )


class Pixels(NamedTuple):
    """Pictures as the model reads them.

    pixels: uint8 (I, 3, H, W), mapped from the disk.
    readable: bool (I,).
    key: hash of preprocessing and contents.
    """

    pixels: np.ndarray
    readable: np.ndarray
    key: str


def read_pixels(
    records: Records,
    pipeline: Callable[[dict], dict],
    settings: Any,
    cache_dir: Path,
    track: Callable[[Iterable, int], Iterable],
) -> Pixels:
    """Decode and resize every picture, or find what an earlier call has kept.

    What is kept is found by the contents of the files and the preprocessing, not by their names; a
    changed or added picture makes a new entry. Files whose path, size and time are those of an
    earlier call are not read again.

    Args:
        records: the gallery.
        pipeline: of the model, packed samples.
        settings: what ``pipeline`` was made of, plain data.
        cache_dir: made if missing.
        track: wraps an iteration of a known length.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    remove_partial(cache_dir, older_than=86_400)  # seconds; others may be writing
    seen = cache_dir / f'{_stamp(records, settings)}.key'
    key = seen.read_text() if seen.is_file() else _content_key(records, settings)
    array, sidecar = cache_dir / f'{key}.npy', cache_dir / f'{key}.json'
    if array.is_file() and sidecar.is_file():
        used(array, sidecar)
    else:
        trim(cache_dir)
        unreadable = _decode(records, pipeline, array, track)
        write_text(sidecar, json.dumps({str(i): why for i, why in unreadable.items()}))
        if unreadable:
            first = next(iter(unreadable.values()))
            print_log(
                f'{len(unreadable)} of {len(records)} pictures cannot be read and are never found; '
                f'first: {first}',
                'current',
                level=30,
            )
    if not seen.is_file():
        write_text(seen, key)
    pixels = np.load(array, mmap_mode='r', allow_pickle=False)
    readable = np.ones(len(records), dtype=bool)
    readable[[int(i) for i in json.loads(sidecar.read_text())]] = False
    return Pixels(pixels, readable, key)


def _stamp(records: Records, settings: Any) -> str:
    """Hash of path, size and time of every file; of the content where there is no file."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for i in range(len(records)):
        path = records.path(i)
        if path is None:
            digest.update(_digest(records, i))
            continue
        try:
            stat = path.stat()
            digest.update(f'{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\n'.encode())
        except OSError:
            digest.update(f'{path}\0missing\n'.encode())
    return digest.hexdigest()[:32]


def _content_key(records: Records, settings: Any) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(records), _BLOCK):
            block = range(start, min(start + _BLOCK, len(records)))
            for one in pool.map(lambda i: _digest(records, i), block):
                digest.update(one)
    return digest.hexdigest()[:32]


def _digest(records: Records, index: int) -> bytes:
    path = records.path(index)
    try:
        if path is not None:
            return bytes.fromhex(file_sha256(path))
        image = records.read(index)
    except OSError:
        return b'unreadable'
    return hashlib.sha256(f'{image.shape}'.encode() + image.tobytes()).digest()


def _decode(
    records: Records,
    pipeline: Callable[[dict], dict],
    array: Path,
    track: Callable[[Iterable, int], Iterable],
) -> dict[int, str]:
    """Write ``array``; index -> reason of what cannot be read."""

    def read(index: int) -> np.ndarray | str:
        try:
            image = records.read(index)
        except OSError as error:
            return str(error)
        return pipeline(dict(img=image, caption=''))['inputs']['image'].numpy()

    unreadable = {}
    shape: tuple[int, ...] | None = None
    waiting = 0  # unreadable pictures before the first readable one
    starts = range(0, len(records), _BLOCK)
    # threads of this many at most: a picture that is being decoded may have 50 million pixels
    with written_whole(array) as file, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in track(starts, len(starts)):
            block = range(start, min(start + _BLOCK, len(records)))
            for index, found in zip(block, pool.map(read, block)):
                if isinstance(found, str):
                    unreadable[index] = found
                    if shape is None:
                        waiting += 1
                    else:
                        file.write(bytes(int(np.prod(shape))))
                    continue
                if shape is None:
                    shape = found.shape
                    header = dict(descr='|u1', fortran_order=False, shape=(len(records), *shape))
                    np.lib.format.write_array_header_2_0(file, header)
                    file.write(bytes(waiting * int(np.prod(shape))))
                if found.shape != shape:
                    raise ValueError(
                        f'picture {index} is {found.shape} after preprocessing, the first one '
                        f'{shape}: the model must bring all to one size (Resize)'
                    )
                file.write(np.ascontiguousarray(found).tobytes())
        if shape is None:
            raise OSError(f'no picture can be read; first: {next(iter(unreadable.values()))}')
    return unreadable


@dataclass
class TextGallery:
    """Distinct texts to search in.

    rows: place in the source of the first entry with each of them, (J,).
    token_ids: int32, those of all texts one after the other.
    ends: int64 (J,), where each text ends.
    records: the catalogue, where they are of one.
    texts: all entries of a list, where they are of one.
    """

    rows: np.ndarray
    token_ids: np.ndarray
    ends: np.ndarray
    records: Records | None
    texts: list[str]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> np.ndarray:
        """Token ids of a text, int64 (T,)."""
        start = self.ends[index - 1] if index else 0
        return self.token_ids[start : self.ends[index]].astype(np.int64)

    def entry(self, index: int) -> dict[str, Any]:
        """What is known of the first entry with a text; ``index`` is its place in the source."""
        row = int(self.rows[index])
        if self.records is not None:
            return self.records[row]
        return dict(index=row, caption=self.texts[row])


def read_texts(
    source: Source,
    encode: Callable[[str], Sequence[int]],
    settings: Any,
    cache_dir: Path,
) -> TextGallery:
    """Distinct texts of a list, of a ``.txt`` file (one a line), or of a catalogue or dataset.

    Token ids are kept on the disk, found by texts and ``settings``.
    """
    source = table_of(source)
    records = None
    if isinstance(source, str | Path) and Path(source).suffix.lower() == '.txt':
        texts = [line for line in Path(source).read_text('utf-8').splitlines() if line.strip()]
    elif isinstance(source, PairDataset) or (
        isinstance(source, str | Path) and Path(source).suffix.lower() in TABLES
    ):
        records = Records(source)
        texts = records.captions()
    elif isinstance(source, str | Path):
        raise ValueError(
            f'{source}: a .txt file, a catalogue ({", ".join(TABLES)}) or a list of texts is needed'
        )
    else:
        texts = list_texts(source)
    distinct: dict[str, int] = {}
    for row, text in enumerate(texts):
        distinct.setdefault(text, row)
    if not distinct:
        raise ValueError(f'{source}: no text in it')
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for text in distinct:
        digest.update(f'{len(text)} {text}'.encode())
    cache = cache_dir / f'{digest.hexdigest()[:32]}.tokens.npz'
    if not cache.is_file():
        tokens = [np.asarray(encode(text), np.int32) for text in distinct]
        with written_whole(cache) as file:
            np.savez(file, ids=np.concatenate(tokens), ends=np.cumsum([len(t) for t in tokens]))
    with np.load(cache, allow_pickle=False) as kept:
        found = dict(kept)
    rows = np.fromiter(distinct.values(), np.int64)
    return TextGallery(rows, found['ids'], found['ends'], records, [] if records else texts)
