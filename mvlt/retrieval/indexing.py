"""Build the index of a gallery, and update it when the gallery changes.

Each row's image and cells have a hash, so a second run embeds and writes only what has changed.
Blocks are committed one by one; run the same command again to resume a killed run.
"""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from mmengine.dist import get_dist_info
from torch import distributed as dist

from mvlt.deadline import check
from mvlt.retrieval.index import Index, Kind
from mvlt.retrieval.records import Records

BLOCK = 512  # rows that are written at once
MAX_TEXT = 2000  # characters of a cell that are kept
SHOWN = ('img_path', 'caption')  # columns beside those of the table
_RESERVED = {'product_id', 'image_index', 'image_hash', 'row_hash', 'vector', 'similarity'}
_RESERVED |= {'score', 'itm_score', 'duplicates', 'and', 'or', 'not', *SHOWN}
_FLAGS = dict(true=True, yes=True, false=False, no=False)


class Columns:
    """Cells of a gallery's rows as typed values, one kind a column.

    A column is of numbers if all its cells are, of flags if all are true, false, yes or no.

    Args:
        records: opened with ``all_columns``.
        kinds: of an existing index; None infers them from the cells.

    Raises:
        ValueError: a cell is not of its column's kind; a column is missing or new.
    """

    def __init__(self, records: Records, kinds: Mapping[str, Kind] | None = None) -> None:
        self.texts = {column_name(name): _texts(cells) for name, cells in records.table().items()}
        self.ids = [records.product_id(i) for i in range(len(records))]
        self.shown: dict[str, list[str | None]] = dict(
            img_path=[records.img_path(i) for i in range(len(records))],
            caption=[records.caption(i) for i in range(len(records))],
        )
        labels = records.classes
        self.kinds: dict[str, Kind] = {name: 'text' for name in SHOWN}
        for name, cells in self.texts.items():
            self.kinds[name] = 'text' if name in labels else _kind(cells)
        if kinds is None:
            return
        if set(kinds) != set(self.kinds):
            differ = ', '.join(sorted(set(kinds) ^ set(self.kinds)))
            raise ValueError(
                f'the index has other columns than the table ({differ}): build it anew in an '
                'empty folder'
            )
        self.kinds = dict(kinds)

    def values(self, rows: Sequence[int]) -> dict[str, list[Any]]:
        """Of some rows, None = unknown."""
        shown = {name: [self.shown[name][i] for i in rows] for name in SHOWN}
        return shown | {
            name: [value_of(cells[i], self.kinds[name], name) for i in rows]
            for name, cells in self.texts.items()
        }


def value_of(cell: str | None, kind: Kind, name: str) -> Any:
    """A cell as a value of its column's kind.

    Raises:
        ValueError: it is none.
    """
    if cell is None:
        return None
    if kind == 'text':
        return cell[:MAX_TEXT]
    try:
        return _FLAGS[cell.lower()] if kind == 'flag' else _number(cell)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"column '{name}' of the index holds {kind}s, '{cell:.60}' is none: correct the cell, "
            'or build the index anew in an empty folder'
        ) from error


def column_name(name: str) -> str:
    """As the index knows it; names that it needs itself get a line behind."""
    return f'{name}_' if name in _RESERVED else name


class Update(NamedTuple):
    """What a run has done, in products; ``embedded`` and ``unreadable`` in pictures."""

    total: int
    new: int
    changed: int
    deleted: int
    embedded: int
    unreadable: int
    first_unreadable: str = ''

    def __str__(self) -> str:
        line = (
            f'{self.total} products: {self.new} new, {self.changed} changed, '
            f'{self.total - self.new - self.changed} as they were, {self.deleted} deleted; '
            f'{self.embedded} pictures embedded'
        )
        if self.unreadable:
            line += f'; {self.unreadable} cannot be read, first: {self.first_unreadable}'
        return line


class RowReader(NamedTuple):
    """How rows become embeddings.

    hash: row -> hash of its image or text; raises OSError if it cannot be read.
    read: row -> what the model reads, a tensor; raises OSError likewise.
    embed: many of these tensors -> float32 (n, D).
    """

    hash: Callable[[int], str]
    read: Callable[[int], torch.Tensor]
    embed: Callable[[Sequence[torch.Tensor]], np.ndarray]


class _Row(NamedTuple):
    """A row that was read; ``item`` only if it must be embedded."""

    row: int
    hash: str
    item: torch.Tensor | None
    error: str = ''


def update_index(
    index: Index,
    columns: Columns,
    reader: RowReader,
    track: Callable[[Iterable, int], Iterable],
    block: int = BLOCK,
) -> Update:
    """Update an index to a gallery's rows; of several processes each embeds its share.

    An image that cannot be read is not in the index; if an earlier run read it, that entry stays.
    Threads read while the model computes.

    Args:
        index: of the model and the columns.
        columns: of the gallery's rows.
        reader: how rows become embeddings.
        track: wraps an iteration of a known length.
        block: rows that are read, embedded and written at once.

    Raises:
        ValueError: another process writes; a wrong cell.
    """
    rank, processes = get_dist_info()
    known = _known(index)
    blocks = list(_blocks(columns.ids, block))
    counts = dict(new=0, changed=0, embedded=0, unreadable=0)
    first = ''
    seen = {product_id for listed in blocks for product_id in listed}

    def start(listed: Mapping[str, list[int]]) -> list[Future]:
        keyed = [(row, (one, v)) for one, places in listed.items() for v, row in enumerate(places)]
        return [
            pool.submit(_read, row, known.get(key, ('', ''))[0], reader)
            for row, key in keyed[rank::processes]
        ]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting: list[list[Future]] = []
        for number, listed in enumerate(track(blocks, len(blocks))):
            check()
            while len(waiting) < min(2, len(blocks) - number):
                waiting.append(start(blocks[number + len(waiting)]))
            rows: list[_Row] = [future.result() for future in waiting.pop(0)]
            items = [row.item for row in rows if row.item is not None]
            vectors = iter(reader.embed(items) if items else ())
            made = [(row._replace(item=None), _next(row, vectors)) for row in rows]
            if processes > 1:
                shares: list[Any] = [None] * processes
                dist.all_gather_object(shares, made)
                made = [one for share in shares for one in share]
            if rank == 0:
                done = _write(index, listed, made, known, columns)
                for name in counts:
                    counts[name] += done[name]
                first = first or next((row.error for row, _ in made if row.error), '')
        gone = sorted({product_id for product_id, _ in known} - seen)
        if rank == 0:
            for place in range(0, len(gone), block):
                index.delete(gone[place : place + block])
            if gone or counts['new'] or counts['changed']:
                index.compact()
        if processes > 1:
            dist.barrier()
    return Update(len(seen), **counts, deleted=len(gone), first_unreadable=first)


def upsert_product(
    index: Index,
    product_id: str,
    embeds: np.ndarray,
    hashes: Sequence[str],
    paths: Sequence[str | None] | None,
    values: Mapping[str, Any],
) -> None:
    """Add a product or replace it.

    Args:
        index: where.
        product_id: its id.
        embeds: of its images, float32 (n, D).
        hashes: of its images.
        paths: of its images; None = they are no files.
        values: of the index's columns, a text or a value of the column's kind; missing ones are
            unknown.

    Raises:
        ValueError: a column is unknown, a value wrong.
    """
    kinds = index.description.columns
    if unknown := set(values) - set(kinds):
        raise ValueError(f'no column {", ".join(sorted(unknown))}; legal: {", ".join(kinds)}')
    cells = {
        name: value_of(value, kind, name) if isinstance(value, str) else value
        for name, kind in kinds.items()
        for value in (values.get(name),)
    }
    rows = [dict(cells, img_path=path) for path in paths or [None] * len(hashes)]
    index.upsert(
        index.rows(
            embeds,
            {name: [row[name] for row in rows] for name in kinds},
            product_id=[product_id] * len(rows),
            image_index=range(len(rows)),
            image_hash=hashes,
            row_hash=[cells_hash(row) for row in rows],
        )
    )


def _write(
    index: Index,
    listed: Mapping[str, list[int]],
    made: Iterable[tuple[_Row, np.ndarray | None]],
    known: Mapping[tuple[str, int], tuple[str, str]],
    columns: Columns,
) -> dict[str, int]:
    """Replace the products of a block that are new or have changed."""
    read = {row.row: (row, vector) for row, vector in made}
    counts = dict(new=0, changed=0, embedded=0, unreadable=0)
    rows: list[tuple[str, int, int, str]] = []  # product id, view, row, hash of its cells
    touched = set()
    for product_id, places in listed.items():
        own: list[tuple[str, int, int, str]] = []
        changed = (product_id, len(places)) in known  # it had more views
        for view, (place, digest) in enumerate(zip(places, _digests(columns, places))):
            row, vector = read[place]
            before = known.get((product_id, view))
            counts['unreadable'] += bool(row.error)
            counts['embedded'] += vector is not None
            if vector is None and before is None:
                continue  # it cannot be read and never could
            own.append((product_id, view, place, digest))
            changed = changed or before != (row.hash, digest)
        if changed and own:
            counts['changed' if (product_id, 0) in known else 'new'] += 1
            touched.add(product_id)
            rows += own
    if not rows:
        return counts
    kept = {}
    if any(read[place][1] is None for _, _, place, _ in rows):
        stored = index.fetch(sorted(touched))
        vectors = np.asarray(stored['vector'].combine_chunks().flatten())
        keys = zip(stored['product_id'].to_pylist(), stored['image_index'].to_pylist())
        kept = dict(zip(keys, vectors.reshape(len(stored), -1)))
    ids, views, chosen, digests = zip(*rows)
    found = []
    for product_id, view, place, _ in rows:
        vector = read[place][1]
        found.append(kept[product_id, view] if vector is None else vector)
    index.upsert(
        index.rows(
            np.stack(found),
            columns.values(chosen),
            product_id=ids,
            image_index=views,
            image_hash=[read[place][0].hash for place in chosen],
            row_hash=digests,
        )
    )
    return counts


def _read(row: int, known: str, reader: RowReader) -> _Row:
    """A row whose item is read only if its hash is not the known one."""
    try:
        hash_ = reader.hash(row)
        return _Row(row, hash_, None if hash_ == known else reader.read(row))
    except OSError as error:
        return _Row(row, known, None, str(error))


def _next(row: _Row, vectors: Iterator[np.ndarray]) -> np.ndarray | None:
    return None if row.item is None else next(vectors)


def array_hash(image: np.ndarray) -> str:
    """Hexadecimal SHA-256 of an image in memory."""
    return hashlib.sha256(f'{image.shape}'.encode() + image.tobytes()).hexdigest()


def cells_hash(values: Mapping[str, Any]) -> str:
    """Hexadecimal SHA-256 of a row's cells."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _digests(columns: Columns, places: Sequence[int]) -> list[str]:
    values = columns.values(places)
    return [cells_hash({n: v[i] for n, v in values.items()}) for i in range(len(places))]


def _known(index: Index) -> dict[tuple[str, int], tuple[str, str]]:
    """(product id, image index) -> (image hash, row hash)."""
    keys = index.keys().to_pydict()
    ids = zip(keys['product_id'], keys['image_index'])
    return dict(zip(ids, zip(keys['image_hash'], keys['row_hash']), strict=True))


def _blocks(ids: Sequence[str], size: int) -> Iterator[dict[str, list[int]]]:
    """Rows of each product, whole products, at least ``size`` rows at once but in the last."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, product_id in enumerate(ids):
        rows_of[product_id].append(row)
    block: dict[str, list[int]] = {}
    count = 0
    for product_id, rows in rows_of.items():
        block[product_id] = rows
        count += len(rows)
        if count >= size:
            yield block
            block, count = {}, 0
    if block:
        yield block


def _texts(cells: Any) -> list[str | None]:
    return cells.to_pylist() if isinstance(cells, pa.Array | pa.ChunkedArray) else list(cells)


def _kind(cells: Sequence[str | None]) -> Kind:
    known = [cell for cell in cells if cell is not None]
    if known and all(cell.lower() in _FLAGS for cell in known):
        return 'flag'
    try:
        for cell in known:
            _number(cell)
    except ValueError:
        return 'text'
    return 'number' if known else 'text'


def _number(cell: str) -> float:
    number = float(cell)
    if not np.isfinite(number) or '_' in cell:
        raise ValueError(cell)
    return number
