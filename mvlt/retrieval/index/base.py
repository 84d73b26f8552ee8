"""What every index does, whatever keeps the vectors.

Legend: D size of a vector, n rows.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mvlt.retrieval.index.filters import Group, Kind, Where, arrow_type, parse

VERSION = 2
MAX_ID = 200  # characters of a product id
# of each row, beside the vector and the columns of the catalogue
_OWN = dict(
    product_id=pa.string(), image_index=pa.int32(), image_hash=pa.string(), row_hash=pa.string()
)


class IndexDescription(NamedTuple):
    """What an index holds; vectors are compared by their product.

    model: hash of the model that made the vectors.
    dims: D.
    columns: name -> kind, of the catalogue.
    """

    model: str
    dims: int
    columns: Mapping[str, Kind]

    def to_json(self) -> str:
        """One line, with the layout's version."""
        return json.dumps(dict(version=VERSION, metric='product', **self._asdict()))

    @classmethod
    def from_json(cls, text: str, source: str) -> 'IndexDescription':
        """What :meth:`to_json` wrote.

        Raises:
            ValueError: something else.
        """
        try:
            content = json.loads(text)
            found = cls(str(content['model']), int(content['dims']), dict(content['columns']))
            for kind in found.columns.values():
                arrow_type(kind)
            wrong = content['version'] != VERSION or content['metric'] != 'product'
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'{source}: no description of an index ({error}); build it again'
            ) from error
        if wrong:
            raise ValueError(f'{source}: an index of another version; build it again')
        return found


class Index(ABC):
    """Rows that are found by their vector: images (or texts) of products.

    A row has ``product_id``, ``image_index`` (0, 1, ... of a product), ``image_hash`` (of what was
    embedded), ``row_hash`` (of its cells), ``vector`` and the description's columns. What was
    committed is on the disk; one process writes at a time, any number read.

    Args:
        description: what it holds.
        place: for messages.
    """

    def __init__(self, description: IndexDescription, place: str) -> None:
        self.description = description
        self.place = place
        # a store knows columns by these names, whatever a shop calls them
        self.fields = {name: f'c{i}' for i, name in enumerate(description.columns)}
        kinds = description.columns
        self.schema = pa.schema(
            [
                *_OWN.items(),
                *((field, arrow_type(kinds[name])) for name, field in self.fields.items()),
                ('vector', pa.list_(pa.float32(), description.dims)),
            ]
        )

    def upsert(self, rows: pa.Table) -> None:
        """Add products or replace them, all rows of each.

        Args:
            rows: see :meth:`rows`; all rows of a product in one call.

        Raises:
            ValueError: other columns than those of the index, no or too long ids, a vector with
                a number that is none; nothing is written.
        """
        rows = self._checked(rows)
        if len(rows):
            with self.writing():
                self._upsert(rows)

    def delete(self, product_ids: Sequence[str]) -> int:
        """Delete products; how many there were. Unknown ids are nothing."""
        with self.writing():
            found = pc.count_distinct(self.fetch(product_ids)['product_id']).as_py()
            if found:
                self._delete(list(product_ids))
        return found

    def search(self, vector: np.ndarray, count: int, where: Where | None = None) -> pa.Table:
        """The rows whose vectors have the largest product with a query's, best first.

        Args:
            vector: float (D,).
            count: rows at most.
            where: which rows may be found (:mod:`mvlt.retrieval.index.filters`).

        Returns:
            ``product_id``, ``image_index``, the description's columns, ``similarity`` float32.

        Raises:
            ValueError: another size, a filter that does not fit.
        """
        vector = np.asarray(vector, np.float32)
        if vector.shape != (self.description.dims,) or not np.isfinite(vector).all():
            raise ValueError(
                f'{self.place}: vectors of {self.description.dims} finite numbers, not of '
                f'{vector.shape}'
            )
        if count < 1:
            raise ValueError(f'count={count}: one at least')
        return self._named(self._search(vector, count, self._parsed(where)))

    def count(self, where: Where | None = None) -> int:
        """How many rows a filter lets through."""
        return self._count(self._parsed(where))

    def fetch(self, product_ids: Sequence[str]) -> pa.Table:
        """All rows of some products, with ``vector``, in no order."""
        return self._named(self._fetch(list(product_ids)))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """No other process writes meanwhile.

        Raises:
            ValueError: another one does.
        """
        yield

    @abstractmethod
    def keys(self) -> pa.Table:
        """Product id, image index, image hash and row hash of all rows, in no order."""

    def compact(self, kept_seconds: float = 60) -> None:
        """What a day's changes have left is put in order; searches go on meanwhile.

        Args:
            kept_seconds: what was replaced so shortly ago stays, for searches that still read it.

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
    def _search(self, vector: np.ndarray, count: int, where: Group) -> pa.Table: ...

    @abstractmethod
    def _count(self, where: Group) -> int: ...

    @abstractmethod
    def _fetch(self, product_ids: list[str]) -> pa.Table: ...

    def rows(
        self, vectors: np.ndarray, columns: Mapping[str, Sequence[Any]], **own: Sequence[Any]
    ) -> pa.Table:
        """What :meth:`upsert` takes.

        Args:
            vectors: float32 (n, D).
            columns: values of the description's columns, None = unknown.
            own: ``product_id``, ``image_index``, ``image_hash``, ``row_hash``.

        Raises:
            ValueError: a column that the index does not have, a value of another kind.
        """
        flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
        made: dict[str, Any] = {}
        for name in self.description.columns:
            kind = self.description.columns[name]
            try:
                made[name] = pa.array(columns[name], arrow_type(kind))
            except (KeyError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise ValueError(f"{self.place}: column '{name}' holds {kind}s: {error}") from error
        made['vector'] = pa.FixedSizeListArray.from_arrays(flat, self.description.dims)
        return pa.table({name: pa.array(own[name], of) for name, of in _OWN.items()} | made)

    def _checked(self, rows: pa.Table) -> pa.Table:
        names = [*_OWN, *self.fields, 'vector']
        if rows.column_names != names:
            raise ValueError(f'{self.place}: columns {names} are needed, not {rows.column_names}')
        rows = rows.rename_columns(self.schema.names).cast(self.schema)
        for product_id in rows['product_id'].to_pylist():
            check_id(product_id)
        vectors = rows['vector'].combine_chunks().flatten()
        if vectors.null_count or not np.isfinite(vectors).all():
            raise ValueError(f'{self.place}: a vector with a number that is none')
        return rows

    def _parsed(self, where: Where | None) -> Group:
        """With the store's names."""
        return _renamed(parse(where, self.description.columns), self.fields)

    def _named(self, rows: pa.Table) -> pa.Table:
        """With the catalogue's names."""
        names = {field: name for name, field in self.fields.items()}
        return rows.rename_columns([names.get(name, name) for name in rows.column_names])


def check_id(product_id: Any) -> None:
    """Refuse what is no product id: text of 1 to 200 characters that can be shown.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(product_id, str) or not 0 < len(product_id) <= MAX_ID:
        raise ValueError(f'product id {product_id!r:.60}: a text of 1 to {MAX_ID} characters')
    if not product_id.isprintable():
        raise ValueError(f'product id {product_id!r:.60}: no control characters')


def _renamed(where: Any, fields: Mapping[str, str]) -> Any:
    if isinstance(where, Group):
        return where._replace(parts=tuple(_renamed(part, fields) for part in where.parts))
    return where._replace(column=fields[where.column])
