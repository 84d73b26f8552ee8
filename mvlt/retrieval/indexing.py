"""Build and update the index of a gallery.

Hashes of each row's image and cells limit a second run to changed rows. Blocks are committed one by
one; run the same command again to resume a killed run.
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
from mvlt.retrieval.index.filters import is_of_kind
from mvlt.retrieval.records import Records

BLOCK = 512  # rows written at once
MAX_TEXT = 2000  # characters kept of a cell
SHOWN = ('img_path', 'caption')  # columns beside those of the table
_RESERVED = {'product_id', 'image_index', 'image_hash', 'row_hash', 'vector', 'similarity'}
_RESERVED |= {'score', 'itm_score', 'duplicates', 'and', 'or', 'not', *SHOWN}
_FEW_DELETED = 20  # products, that may always be deleted
_FLAGS = dict(true=True, yes=True, false=False, no=False)


class Columns:
    """Cells of a gallery's rows as typed values, one kind for each column.

    A column holds numbers if all its cells are numbers, flags if all are true, false, yes or no.

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
                f'the index has other columns than the table ({differ}): build a new index in an '
                'empty folder'
            )
        self.kinds = dict(kinds)

    def values(self, rows: Sequence[int]) -> dict[str, list[Any]]:
        """Values of some rows by column, None = unknown."""
        shown = {name: [self.shown[name][i] for i in rows] for name in SHOWN}
        return shown | {
            name: [value_of(cells[i], self.kinds[name], name, self.ids[i]) for i in rows]
            for name, cells in self.texts.items()
        }


def value_of(cell: str | None, kind: Kind, name: str, product_id: str = '') -> Any:
    """A cell as a value of its column's kind; ValueError if it is of another kind."""
    if cell is None:
        return None
    if kind == 'text':
        return cell[:MAX_TEXT]
    try:
        return _FLAGS[cell.lower()] if kind == 'flag' else _number(cell)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{f'product {product_id}: ' if product_id else ''}column '{name}' of the index holds "
            f"{kind}s, not '{cell:.60}': correct the cell, "
            'or build a new index in an empty folder'
        ) from error


def column_name(name: str) -> str:
    """A column's name in the index; reserved names get an underscore at the end."""
    return f'{name}_' if name in _RESERVED else name


class Update(NamedTuple):
    """Counts of a run, in products; ``embedded`` and ``unreadable`` in images."""

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
            f'{self.total - self.new - self.changed} unchanged, {self.deleted} deleted; '
            f'{self.embedded} images embedded'
        )
        if self.unreadable:
            line += f'; {self.unreadable} cannot be read, first: {self.first_unreadable}'
        return line


class RowReader(NamedTuple):
    """Functions that turn rows into embeddings.

    hash: row -> hash of its image or text; OSError if it is unreadable.
    read: row -> the model's input, a tensor; OSError if it is unreadable.
    embed: many inputs -> float32 (n, D).
    """

    hash: Callable[[int], str]
    read: Callable[[int], torch.Tensor]
    embed: Callable[[Sequence[torch.Tensor]], np.ndarray]


class _Row(NamedTuple):
    """A row that was read; ``input`` is None if its embedding is in the index or unreadable."""

    row: int
    hash: str
    input: torch.Tensor | None
    error: str = ''


def update_index(
    index: Index,
    columns: Columns,
    reader: RowReader,
    track: Callable[[Iterable, int], Iterable],
    block: int = BLOCK,
    max_deleted: float = 0.5,
) -> Update:
    """Update an index to a gallery's rows; each of several processes embeds its share.

    An unreadable image is not in the index, unless an earlier run read it. Threads read while the
    model computes.

    Args:
        index: of the model and the columns.
        columns: of the gallery's rows.
        reader: turns rows into embeddings.
        track: wraps an iteration of known length in a progress bar.
        block: rows that are read, embedded and written at once.
        max_deleted: refuse to delete a larger share of the products, 0 to 1; a few always may be.

    Raises:
        ValueError: another process writes; a wrong cell; too many products are missing.
    """
    rank, processes = get_dist_info()
    stored = _stored_hashes(index)
    blocks = list(_blocks(columns.ids, block))
    counts = dict(new=0, changed=0, embedded=0, unreadable=0)
    first = ''
    product_ids = {product_id for rows_of in blocks for product_id in rows_of}
    stored_ids = {product_id for product_id, _ in stored}
    deleted = sorted(stored_ids - product_ids)
    if len(deleted) > max(_FEW_DELETED, max_deleted * len(stored_ids)):
        raise ValueError(
            f'{len(deleted)} of {len(stored_ids)} products of the index are not in the catalogue, '
            f"first '{deleted[0]:.60}': is the export whole? To delete them, set max_deleted=1 "
            '(tools/build_index.py --max-deleted 1)'
        )

    def start(rows_of: Mapping[str, list[int]]) -> list[Future]:
        keyed = [
            (row, (product_id, i))
            for product_id, rows in rows_of.items()
            for i, row in enumerate(rows)
        ]
        return [
            pool.submit(_read, row, stored.get(key, ('', ''))[0], reader)
            for row, key in keyed[rank::processes]
        ]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting: list[list[Future]] = []
        for number, rows_of in enumerate(track(blocks, len(blocks))):
            check()
            while len(waiting) < min(2, len(blocks) - number):
                waiting.append(start(blocks[number + len(waiting)]))
            rows: list[_Row] = [future.result() for future in waiting.pop(0)]
            inputs = [row.input for row in rows if row.input is not None]
            embeds = iter(reader.embed(inputs) if inputs else ())
            pairs = [
                (row._replace(input=None), None if row.input is None else next(embeds))
                for row in rows
            ]
            if processes > 1:
                shares: list[Any] = [None] * processes
                dist.all_gather_object(shares, pairs)
                pairs = [pair for share in shares for pair in share]
            if rank == 0:
                block_counts = _write(index, rows_of, pairs, stored, columns)
                for name in counts:
                    counts[name] += block_counts[name]
                first = first or next((row.error for row, _ in pairs if row.error), '')
        if rank == 0:
            for i in range(0, len(deleted), block):
                index.delete(deleted[i : i + block])
            if deleted or counts['new'] or counts['changed']:
                index.compact()
        if processes > 1:
            dist.barrier()
    return Update(len(product_ids), **counts, deleted=len(deleted), first_unreadable=first)


def upsert_product(
    index: Index,
    product_id: str,
    embeds: np.ndarray,
    hashes: Sequence[str],
    paths: Sequence[str | None] | None,
    values: Mapping[str, Any],
) -> None:
    """Add or replace a product.

    Args:
        index: to change.
        product_id: its id.
        embeds: of its images, float32 (n, D).
        hashes: of its images.
        paths: of its images; None = not files.
        values: of the index's columns, text or a value of the column's kind; a missing value is
            unknown.

    Raises:
        ValueError: an unknown column, a wrong value.
    """
    kinds = index.description.columns
    if unknown := set(values) - set(kinds):
        raise ValueError(f'no column {", ".join(sorted(unknown))}; legal: {", ".join(kinds)}')
    cells = {}
    for name, kind in kinds.items():
        value = values.get(name)
        if isinstance(value, str):
            value = value_of(value, kind, name)
        elif value is not None and not is_of_kind(value, kind):
            raise ValueError(f"column '{name}' of the index holds {kind}s, not {value!r:.60}")
        cells[name] = float(value) if kind == 'number' and value is not None else value
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
    rows_of: Mapping[str, list[int]],
    pairs: Iterable[tuple[_Row, np.ndarray | None]],
    stored: Mapping[tuple[str, int], tuple[str, str]],
    columns: Columns,
) -> dict[str, int]:
    """Replace the new and changed products of a block."""
    read = {row.row: (row, embed) for row, embed in pairs}
    counts = dict(new=0, changed=0, embedded=0, unreadable=0)
    written: list[tuple[str, int, int, str]] = []  # product id, image index, row, hash of cells
    changed_ids = set()
    for product_id, rows in rows_of.items():
        entries: list[tuple[str, int, int, str]] = []
        changed = (product_id, len(rows)) in stored  # the product had more images
        for image_index, (row, row_hash) in enumerate(zip(rows, _row_hashes(columns, rows))):
            result, embed = read[row]
            before = stored.get((product_id, image_index))
            counts['unreadable'] += bool(result.error)
            counts['embedded'] += embed is not None
            if embed is None and before is None:
                continue  # no run could read it
            entries.append((product_id, image_index, row, row_hash))
            changed = changed or before != (result.hash, row_hash)
        if changed and entries:
            counts['changed' if (product_id, 0) in stored else 'new'] += 1
            changed_ids.add(product_id)
            written += entries
    if not written:
        return counts
    kept = {}
    if any(read[row][1] is None for _, _, row, _ in written):
        table = index.fetch(sorted(changed_ids))
        embeds = np.asarray(table['vector'].combine_chunks().flatten())
        keys = zip(table['product_id'].to_pylist(), table['image_index'].to_pylist())
        kept = dict(zip(keys, embeds.reshape(len(table), -1)))
    ids, image_indices, chosen, row_hashes = zip(*written)
    new_embeds = []
    for product_id, image_index, row, _ in written:
        embed = read[row][1]
        new_embeds.append(kept[product_id, image_index] if embed is None else embed)
    index.upsert(
        index.rows(
            np.stack(new_embeds),
            columns.values(chosen),
            product_id=ids,
            image_index=image_indices,
            image_hash=[read[row][0].hash for row in chosen],
            row_hash=row_hashes,
        )
    )
    return counts


def _read(row: int, stored_hash: str, reader: RowReader) -> _Row:
    """Read a row, unless its hash is the stored hash."""
    try:
        hash_ = reader.hash(row)
        return _Row(row, hash_, None if hash_ == stored_hash else reader.read(row))
    except OSError as error:
        return _Row(row, stored_hash, None, str(error))


def array_hash(image: np.ndarray) -> str:
    """Hexadecimal SHA-256 of an image in memory."""
    return hashlib.sha256(f'{image.shape}'.encode() + image.tobytes()).hexdigest()


def cells_hash(values: Mapping[str, Any]) -> str:
    """Hexadecimal SHA-256 of a row's cells."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _row_hashes(columns: Columns, rows: Sequence[int]) -> list[str]:
    values = columns.values(rows)
    return [cells_hash({n: v[i] for n, v in values.items()}) for i in range(len(rows))]


def _stored_hashes(index: Index) -> dict[tuple[str, int], tuple[str, str]]:
    """(product id, image index) -> (image hash, row hash)."""
    keys = index.keys().to_pydict()
    ids = zip(keys['product_id'], keys['image_index'])
    return dict(zip(ids, zip(keys['image_hash'], keys['row_hash']), strict=True))


def _blocks(ids: Sequence[str], size: int) -> Iterator[dict[str, list[int]]]:
    """Blocks of whole products, product id -> rows, each of at least ``size`` rows but the last."""
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
    filled = [cell for cell in cells if cell is not None]
    if filled and all(cell.lower() in _FLAGS for cell in filled):
        return 'flag'
    try:
        for cell in filled:
            _number(cell)
    except ValueError:
        return 'text'
    return 'number' if filled else 'text'


def _number(cell: str) -> float:
    number = float(cell)
    if not np.isfinite(number) or '_' in cell:
        raise ValueError(cell)
    return number
