"""A catalogue becomes an index, and an index follows its catalogue.

What is read again, embedded or deleted goes by content: a row's picture and cells have a hash each,
so that a second run costs what has changed. Blocks are confirmed one by one; a run that was killed
is gone on with by the same command.
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
from mvlt.files import file_sha256
from mvlt.retrieval.index import Index, Kind
from mvlt.retrieval.records import Records

BLOCK = 512  # rows that are written at once
MAX_TEXT = 2000  # characters of a cell that are kept
SHOWN = ('img_path', 'caption')  # columns beside those of the table
_RESERVED = {'product_id', 'view', 'content', 'cells', 'vector', 'similarity'}
_RESERVED |= {'score', 'match_score', 'and', 'or', 'not', *SHOWN}
_FLAGS = dict(true=True, yes=True, false=False, no=False)


class Columns:
    """What is known of each row of a catalogue, as values of one kind a column.

    A column whose cells are all numbers is one of numbers, of true, false, yes, no one of flags.

    Args:
        records: opened with ``all_columns``.
        kinds: of an index that there is; None goes by the cells.

    Raises:
        ValueError: a cell is not of its column's kind; a column is missing or new.
    """

    def __init__(self, records: Records, kinds: Mapping[str, Kind] | None = None) -> None:
        self.texts = {column_name(name): _texts(cells) for name, cells in records.table().items()}
        self.ids, self.shown = _shown(records)
        labels = records.dataset.metainfo if records.dataset is not None else {}
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


class Embedder(NamedTuple):
    """How pictures become vectors.

    read: uint8 (H, W, 3) -> what the model reads, uint8 (3, S, S).
    embed: many of these -> float32 (n, D).
    """

    read: Callable[[np.ndarray], torch.Tensor]
    embed: Callable[[Sequence[torch.Tensor]], np.ndarray]


class _Row(NamedTuple):
    """A row of the catalogue that was read; ``picture`` only where it must be embedded."""

    row: int
    content: str
    picture: torch.Tensor | None
    error: str = ''


def update_index(
    index: Index,
    records: Records,
    columns: Columns,
    embedder: Embedder,
    track: Callable[[Iterable, int], Iterable],
    block: int = BLOCK,
) -> Update:
    """Bring an index to what a catalogue says; on several processes each embeds its share.

    A picture that cannot be read is not found; if it was read by an earlier run, it stays as it
    was. Reading goes on beside the model.

    Args:
        index: of the model and the columns.
        records: the catalogue.
        columns: of its rows.
        embedder: how pictures become vectors.
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
            pool.submit(_read, records, row, known.get(key, ('', ''))[0], embedder)
            for row, key in keyed[rank::processes]
        ]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting: list[list[Future]] = []
        for number, listed in enumerate(track(blocks, len(blocks))):
            check()
            while len(waiting) < min(2, len(blocks) - number):
                waiting.append(start(blocks[number + len(waiting)]))
            rows: list[_Row] = [future.result() for future in waiting.pop(0)]
            pictures = [row.picture for row in rows if row.picture is not None]
            vectors = iter(embedder.embed(pictures) if pictures else ())
            made = [(row._replace(picture=None), _next(row, vectors)) for row in rows]
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
                index.upkeep()
        if processes > 1:
            dist.barrier()
    return Update(len(seen), **counts, deleted=len(gone), first_unreadable=first)


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
            changed = changed or before != (row.content, digest)
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
        keys = zip(stored['product_id'].to_pylist(), stored['view'].to_pylist())
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
            view=views,
            content=[read[place][0].content for place in chosen],
            cells=digests,
        )
    )
    return counts


def _read(records: Records, row: int, known: str, embedder: Embedder) -> _Row:
    """A row whose picture is read only where its content is not the known one."""
    path = records.path(row)
    try:
        content = file_sha256(path) if path is not None else array_hash(records.read(row))
        if content == known:
            return _Row(row, content, None)
        return _Row(row, content, embedder.read(records.read(row)))
    except OSError as error:
        return _Row(row, known, None, str(error))


def _next(row: _Row, vectors: Iterator[np.ndarray]) -> np.ndarray | None:
    return None if row.picture is None else next(vectors)


def array_hash(image: np.ndarray) -> str:
    """Hexadecimal SHA-256 of a picture in memory."""
    return hashlib.sha256(f'{image.shape}'.encode() + image.tobytes()).hexdigest()


def cells_hash(values: Mapping[str, Any]) -> str:
    """Hexadecimal SHA-256 of what is known of a row."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _digests(columns: Columns, places: Sequence[int]) -> list[str]:
    values = columns.values(places)
    return [cells_hash({n: v[i] for n, v in values.items()}) for i in range(len(places))]


def _known(index: Index) -> dict[tuple[str, int], tuple[str, str]]:
    """(product id, view) -> (content, cells)."""
    keys = index.keys().to_pydict()
    return dict(
        zip(zip(keys['product_id'], keys['view']), zip(keys['content'], keys['cells']), strict=True)
    )


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


def _shown(records: Records) -> tuple[list[str], dict[str, list[str | None]]]:
    """Product ids, and what is shown of each entry; paths are below the catalogue's folder."""
    root = records.root.resolve()
    ids = []
    shown: dict[str, list[str | None]] = {name: [] for name in SHOWN}
    for i in range(len(records)):
        record, path = records[i], records.path(i)
        below = None
        if path is not None:
            whole = path.resolve()
            below = str(whole.relative_to(root)) if whole.is_relative_to(root) else path.name
        ids.append(str(record.get('product_id', below or i)))
        shown['img_path'].append(below)
        shown['caption'].append(record.get('caption'))
    return ids, shown


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
