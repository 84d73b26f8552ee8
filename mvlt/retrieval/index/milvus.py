"""An index on a Milvus server or in a file of Milvus Lite, for more than one machine."""

import hashlib
import json
from typing import Any

import numpy as np
import pyarrow as pa
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from mvlt.retrieval.index.base import Index, IndexDescription
from mvlt.retrieval.index.filters import Dialect, Group, Kind, to_text

COLLECTION = 'mvlt'
_KEYS = ['product_id', 'image_index', 'image_hash', 'row_hash']
_TEXT = 65_535  # Milvus' limit of a cell, bytes
_BLOCK = 1000  # rows of a request
_FIELDS: dict[Kind, DataType] = dict(
    text=DataType.VARCHAR, number=DataType.DOUBLE, flag=DataType.BOOL
)
_DIALECT = Dialect(
    name=str,
    value=lambda value: json.dumps(value, ensure_ascii=False),
    members=('[', ']'),
    never='product_id == ""',
)


class MilvusIndex(Index):
    """A collection of a Milvus server; the server compacts by itself.

    Args:
        uri: ``http://host:19530/collection`` (default collection: 'mvlt'), or a file of Milvus Lite
            (``NAME.db``).
        description: see :func:`mvlt.retrieval.index.open_index`.
        token: ``user:password`` of the server.

    Raises:
        FileNotFoundError, ValueError: no such collection, or not an index.
    """

    def __init__(
        self, uri: str, description: IndexDescription | None = None, token: str = ''
    ) -> None:
        address, self.collection = split_uri(uri)
        try:
            self.client = MilvusClient(address, token=token)
            exists = self.client.has_collection(self.collection)
        except (MilvusException, OSError) as error:
            raise ValueError(f'{uri}: Milvus does not answer ({error})') from error
        if description is None:
            if not exists:
                raise FileNotFoundError(
                    f'{uri}: no index; run tools/build_index.py MODEL CATALOGUE {uri}'
                )
            properties = self.client.describe_collection(self.collection)['properties']
            description = IndexDescription.from_json(properties.get('mvlt', ''), uri)
            super().__init__(description, uri)
            self.client.load_collection(self.collection)
            return
        if exists:
            raise ValueError(f'{uri}: there is an index already; open it, or name another')
        super().__init__(description, uri)
        self._create()

    def _create(self) -> None:
        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field('key', DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field('product_id', DataType.VARCHAR, max_length=1024)
        schema.add_field('image_index', DataType.INT64)
        schema.add_field('image_hash', DataType.VARCHAR, max_length=128)
        schema.add_field('row_hash', DataType.VARCHAR, max_length=128)
        for name, field in self.fields.items():
            kind = self.description.columns[name]
            length: dict[str, Any] = dict(max_length=_TEXT) if kind == 'text' else {}
            schema.add_field(field, _FIELDS[kind], nullable=True, **length)
        schema.add_field('vector', DataType.FLOAT_VECTOR, dim=self.description.dims)
        indexes = self.client.prepare_index_params()
        indexes.add_index('vector', index_type='AUTOINDEX', metric_type='IP')
        self.client.create_collection(
            self.collection,
            schema=schema,
            index_params=indexes,
            consistency_level='Strong',
            properties=dict(mvlt=self.description.to_json()),
        )

    def _upsert(self, rows: pa.Table) -> None:
        records = rows.to_pylist()
        for record in records:
            # a query's pages are requested by key, so a key has plain letters only
            key = f'{record["image_index"]} {record["product_id"]}'
            record['key'] = hashlib.sha256(key.encode()).hexdigest()
        for start in range(0, len(records), _BLOCK):
            self.client.upsert(self.collection, records[start : start + _BLOCK])
        kept = {record['key'] for record in records}
        ids = rows['product_id'].unique().to_pylist()
        gone = [key for key in self._query(_among(ids), ['key'])['key'] if key not in kept]
        if gone:
            self.client.delete(self.collection, ids=gone)

    def _delete(self, product_ids: list[str]) -> None:
        self.client.delete(self.collection, filter=_among(product_ids))

    def _search(self, query: np.ndarray, count: int, where: Group) -> pa.Table:
        columns = ['product_id', 'image_index', *self.fields.values()]
        (hits,) = self.client.search(
            self.collection,
            [query],
            limit=count,
            filter=to_text(where, _DIALECT),
            output_fields=columns,
        )
        rows = [dict(hit['entity'], similarity=hit['distance']) for hit in hits]
        types = [*(self.schema.field(name) for name in columns), ('similarity', pa.float32())]
        return pa.Table.from_pylist(rows, pa.schema(types))

    def _count(self, where: Group) -> int:
        (row,) = self.client.query(
            self.collection, filter=to_text(where, _DIALECT), output_fields=['count(*)']
        )
        return int(row['count(*)'])

    def _fetch(self, product_ids: list[str]) -> pa.Table:
        return pa.table(self._query(_among(product_ids), self.schema.names), self.schema)

    def keys(self) -> pa.Table:
        """See :meth:`Index.keys`."""
        return pa.table(self._query('', _KEYS), pa.schema([self.schema.field(k) for k in _KEYS]))

    def _query(self, where: str, columns: list[str]) -> dict[str, list]:
        """Columns of all rows that pass a filter, without Milvus' limit."""
        values: dict[str, list] = {name: [] for name in columns}
        reader = self.client.query_iterator(
            self.collection, batch_size=_BLOCK, filter=where, output_fields=columns
        )
        try:
            while rows := reader.next():
                for name in columns:
                    values[name] += [row.get(name) for row in rows]
        finally:
            reader.close()
        return values

    def _compact(self, kept_seconds: float) -> None:
        pass


def split_uri(uri: str) -> tuple[str, str]:
    """Address and collection of a URI.

    >>> split_uri('http://milvus:19530/shoes')
    ('http://milvus:19530', 'shoes')
    """
    scheme, _, rest = uri.partition('://')
    if not rest:
        return uri, COLLECTION
    host, _, collection = rest.partition('/')
    return f'{scheme}://{host}', collection or COLLECTION


def _among(product_ids: list[str]) -> str:
    return f'product_id in [{", ".join(map(_DIALECT.value, product_ids))}]'
