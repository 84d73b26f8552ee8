"""The interface of all vector stores.

Legend: D size of an embedding, n rows.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mvlt.deadline import check
from mvlt.retrieval.index.filters import Group, Kind, Where, arrow_type, parse

VERSION = 2
Row = dict[str, Any]  # of a search: product_id, image_index, score, the index's columns
MAX_ID = 200  # characters of a product id
_KEYS = dict(  # of each row, beside its embedding and the columns of the catalogue
    product_id=pa.string(), image_index=pa.int32(), image_hash=pa.string(), row_hash=pa.string()
)


class IndexDescription(NamedTuple):
    """Contents of an index; the similarity of two embeddings is their dot product.

    model: hash of the model that computed the embeddings.
    dims: D.
    columns: name -> kind, of the catalogue.
    """

    model: str
    dims: int
    columns: Mapping[str, Kind]

    def to_json(self) -> str:
        """One line, with the version of the layout."""
        return json.dumps(dict(version=VERSION, metric='product', **self._asdict()))

    @classmethod
    def from_json(cls, text: str, source: str) -> 'IndexDescription':
        """Read the output of :meth:`to_json`.

        Raises:
            ValueError: other text, or another version.
        """
        try:
            content = json.loads(text)
            description = cls(str(content['model']), int(content['dims']), dict(content['columns']))
            for kind in description.columns.values():
                arrow_type(kind)
            wrong = content['version'] != VERSION or content['metric'] != 'product'
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'{source}: not the description of an index ({error}); build it again'
            ) from error
        if wrong:
            raise ValueError(f'{source}: an index of another version; build it again')
        return description


class Index(ABC):
    """A vector store of the images (or texts) of products.

    A row has ``product_id``, ``image_index`` (0, 1, ... of a product), ``image_hash`` (of its image
    or text), ``row_hash`` (of its cells), ``vector`` (its embedding) and the columns of the
    description. A committed row is on the disk. One process writes at a time, any number read.

    Args:
        description: contents of the index.
        location: named in errors.
    """

    def __init__(self, description: IndexDescription, location: str) -> None:
        self.description = description
        self.location = location
        # column names of the store: a catalogue's own names may be illegal there
        self.fields = {name: f'c{i}' for i, name in enumerate(description.columns)}
        kinds = description.columns
        self.schema = pa.schema(
            [
                *_KEYS.items(),
                *((field, arrow_type(kinds[name])) for name, field in self.fields.items()),
                ('vector', pa.list_(pa.float32(), description.dims)),
            ]
        )

    def upsert(self, rows: pa.Table) -> None:
        """Add or replace products, all rows of each.

        Args:
            rows: see :meth:`rows`; all rows of a product in one call.

        Raises:
            ValueError: wrong columns, an illegal id, an embedding that is not finite; nothing is
                written.
        """
        rows = self._checked(rows)
        if len(rows):
            with self.writing():
                self._upsert(rows)

    def delete(self, product_ids: Sequence[str]) -> int:
        """Delete products and return how many existed; unknown ids are ignored."""
        with self.writing():
            count = pc.count_distinct(self.fetch(product_ids)['product_id']).as_py()
            if count:
                self._delete(list(product_ids))
        return count

    def search(self, query: np.ndarray, count: int, where: Where | None = None) -> pa.Table:
        """The rows most similar to a query, best first.

        Args:
            query: embedding, float (D,).
            count: maximal number of rows.
            where: a filter (:mod:`mvlt.retrieval.index.filters`).

        Returns:
            ``product_id``, ``image_index``, the description's columns, ``similarity`` float32.

        Raises:
            ValueError: a query of another size, an illegal filter.
        """
        query = np.asarray(query, np.float32)
        if query.shape != (self.description.dims,) or not np.isfinite(query).all():
            raise ValueError(
                f'{self.location}: a query has {self.description.dims} finite numbers, this one is '
                f'{query.shape}'
            )
        if count < 1:
            raise ValueError(f'count={count}: give 1 or more')
        return self._named(self._search(query, count, self._parsed(where)))

    def count(self, where: Where | None = None) -> int:
        """Number of rows that pass a filter."""
        return self._count(self._parsed(where))

    def changed(self) -> float:
        """Unix time of the last change in seconds; NaN = unknown."""
        return float('nan')

    def fetch(self, product_ids: Sequence[str]) -> pa.Table:
        """All rows of some products, with ``vector``, in no order."""
        return self._named(self._fetch(list(product_ids)))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Lock the index against other writers.

        Raises:
            ValueError: another process writes.
        """
        yield

    @abstractmethod
    def keys(self) -> pa.Table:
        """Product id, image index, image hash and row hash of all rows, in no order."""

    def compact(self, kept_seconds: float = 60) -> None:
        """Merge the files of many small changes; searches may run meanwhile.

        Args:
            kept_seconds: age up to which replaced rows stay, for running searches.

        Raises:
            ValueError: another process writes.
        """
        with self.writing():
            self._compact(kept_seconds)

    @abstractmethod
    def _compact(self, kept_seconds: float) -> None: ...

    @abstractmethod
    def _upsert(self, rows: pa.Table) -> None: ...

    @abstractmethod
    def _delete(self, product_ids: list[str]) -> None: ...

    @abstractmethod
    def _search(self, query: np.ndarray, count: int, where: Group) -> pa.Table: ...

    @abstractmethod
    def _count(self, where: Group) -> int: ...

    @abstractmethod
    def _fetch(self, product_ids: list[str]) -> pa.Table: ...

    def rows(
        self, embeds: np.ndarray, columns: Mapping[str, Sequence[Any]], **keys: Sequence[Any]
    ) -> pa.Table:
        """The table that :meth:`upsert` takes.

        Args:
            embeds: float32 (n, D).
            columns: values of the description's columns, None = unknown.
            keys: ``product_id``, ``image_index``, ``image_hash``, ``row_hash``.

        Raises:
            ValueError: a column is missing, a value is of another kind.
        """
        flat = pa.array(np.ascontiguousarray(embeds, np.float32).ravel())
        arrays = {name: pa.array(keys[name], dtype) for name, dtype in _KEYS.items()}
        for name, kind in self.description.columns.items():
            try:
                arrays[name] = pa.array(columns[name], arrow_type(kind))
            except (KeyError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise ValueError(
                    f"{self.location}: column '{name}' holds {kind}s: {error}"
                ) from error
        arrays['vector'] = pa.FixedSizeListArray.from_arrays(flat, self.description.dims)
        return pa.table(arrays)

    def _checked(self, rows: pa.Table) -> pa.Table:
        names = [*_KEYS, *self.fields, 'vector']
        if rows.column_names != names:
            raise ValueError(f'{self.location}: give columns {names}, not {rows.column_names}')
        rows = rows.rename_columns(self.schema.names).cast(self.schema)
        for product_id in rows['product_id'].to_pylist():
            check_id(product_id)
        embeds = rows['vector'].combine_chunks().flatten()
        if embeds.null_count or not np.isfinite(embeds).all():
            raise ValueError(f'{self.location}: an embedding is not finite')
        return rows

    def _parsed(self, where: Where | None) -> Group:
        """A filter with the store's column names."""
        return _renamed(parse(where, self.description.columns), self.fields)

    def _named(self, rows: pa.Table) -> pa.Table:
        """Rows with the catalogue's column names."""
        names = {field: name for name, field in self.fields.items()}
        return rows.rename_columns([names.get(name, name) for name in rows.column_names])


def check_id(product_id: Any) -> None:
    """Raise ValueError unless an id is text of 1 to 200 printable characters."""
    if not isinstance(product_id, str) or not 0 < len(product_id) <= MAX_ID:
        raise ValueError(f'product id {product_id!r:.60}: give text of 1 to {MAX_ID} characters')
    if not product_id.isprintable():
        raise ValueError(f'product id {product_id!r:.60}: remove the control characters')


def _renamed(where: Any, fields: Mapping[str, str]) -> Any:
    if isinstance(where, Group):
        return where._replace(parts=tuple(_renamed(part, fields) for part in where.parts))
    return where._replace(column=fields[where.column])


def nearest_rows(
    index: Index,
    query: np.ndarray,
    count: int,
    distinct: str,
    where: Where | None = None,
    exclude: Sequence[str] = (),
    dedup_threshold: float | None = None,
) -> list[Row]:
    """The most similar ``count`` rows, best first, with the similarity as ``score``.

    Args:
        index: to search in.
        query: embedding, float (D,).
        count: maximal number of rows.
        distinct: a column; of rows with an equal cell the best is returned.
        where, dedup_threshold: see :class:`mvlt.apis.Search`.
        exclude: product ids.
    """
    requested = count + len(exclude) + 10
    most = 20 * requested + 1000  # if nearly all rows are duplicates, fewer are returned
    while True:
        check()
        rows = index.search(query, requested, where).to_pylist()
        best: dict[str, Row] = {}
        for row in rows:
            row['score'] = row.pop('similarity')
            if row['product_id'] not in exclude:
                best.setdefault(row[distinct], row)
        unique = list(best.values())
        if dedup_threshold is not None and unique:
            unique = _deduplicated(index, unique, dedup_threshold)
        if len(unique) >= count or len(rows) < requested or requested == most:
            return unique[:count]
        requested = min(4 * requested, most)


def _deduplicated(index: Index, rows: list[Row], threshold: float) -> list[Row]:
    """The best row of each group of near duplicates."""
    stored = index.fetch([row['product_id'] for row in rows]).to_pylist()
    embed_of = {(row['product_id'], row['image_index']): row['vector'] for row in stored}
    embeds = np.array([embed_of[r['product_id'], r['image_index']] for r in rows], np.float32)
    kept = np.empty(0, int)
    for i, row in enumerate(rows):
        similar = np.flatnonzero(embeds[kept] @ embeds[i] >= threshold)
        if len(similar):
            rows[kept[similar[0]]].setdefault('duplicates', []).append(row['product_id'])
        else:
            kept = np.append(kept, i)
    return [rows[i] for i in kept]


def product_embeds(index: Index, product_ids: Sequence[str]) -> list[np.ndarray]:
    """The embedding of each product, the mean direction of its images, float32 (D,).

    Raises:
        ValueError: an id is not in the index.
    """
    rows = index.fetch(product_ids)
    stored = rows['product_id'].to_pylist()
    for product_id in product_ids:
        if product_id not in stored:
            raise ValueError(f"no product '{product_id:.60}' in the index")
    embeds = np.asarray(rows['vector'].combine_chunks().flatten()).reshape(len(rows), -1)
    masks = [[p == product_id for p in stored] for product_id in product_ids]
    return [unit(embeds[mask].sum(0)) for mask in masks]


def unit(embedding: np.ndarray) -> np.ndarray:
    """Scaled to length 1."""
    return embedding / max(float(np.linalg.norm(embedding)), 1e-12)
