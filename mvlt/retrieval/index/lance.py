"""An index in a folder, on LanceDB: for one machine, up to about ten million images."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa

from mvlt.files import sole_process, write_text
from mvlt.retrieval.index.base import Index, IndexDescription
from mvlt.retrieval.index.filters import Dialect, Group, to_text

# LanceDB reads its log level once, on import; its warnings concern calls made on purpose
with patch.dict(os.environ, {'LANCEDB_LOG': os.environ.get('LANCEDB_LOG', 'error')}):
    import lancedb

TABLE = 'products'
DESCRIPTION = 'index.json'
EXACT_BELOW = 100_000  # rows; an exhaustive search over them takes milliseconds
_FEW = 1000  # distinct values up to which a column gets a bitmap index
_DIALECT = Dialect(
    name=str,
    value=lambda value: (
        "'" + value.replace("'", "''") + "'" if isinstance(value, str) else json.dumps(value)
    ),
    members=('(', ')'),
    never='false',
)


def _report_failure(method: Any) -> Any:
    """Turn a failure of the store into one line that names the folder."""

    @wraps(method)
    def run(self: 'LanceIndex', *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except (OSError, RuntimeError, ValueError) as error:
            raise OSError(
                f'{self.folder}: the store failed ({_first_line(error)}); committed rows are kept. '
                'Check that the disk is not full. If files are damaged, delete the folder and '
                'build the index again'
            ) from error

    return run


class LanceIndex(Index):
    """A LanceDB table: exact below 100,000 rows, else quantised search with exact reordering.

    Args:
        folder: created if it is missing.
        description: see :func:`mvlt.retrieval.index.open_index`.
        probes: partitions that a query reads.
        refine: candidates compared exactly, as a multiple of the requested rows.
        exact_rows: the search is exact if a filter leaves at most so many rows.

    Raises:
        FileNotFoundError, ValueError: no index in the folder, or a damaged one.
    """

    def __init__(
        self,
        folder: str | Path,
        description: IndexDescription | None = None,
        probes: int = 20,
        refine: int = 10,
        exact_rows: int = 2_000,
    ) -> None:
        self.folder = Path(folder)
        self.probes, self.refine, self.exact_rows = probes, refine, exact_rows
        self._threads = RLock()
        self._held = False
        path = self.folder / DESCRIPTION
        if description is None:
            if not path.is_file():
                raise FileNotFoundError(
                    f'{folder}: no index; run tools/build_index.py MODEL CATALOGUE {folder}'
                )
            description = IndexDescription.from_json(path.read_text('utf-8'), str(path))
            super().__init__(description, str(folder))
            self._table = self._open()
            return
        super().__init__(description, str(folder))
        if path.exists():
            raise ValueError(f'{folder}: there is an index already; open it, or delete the folder')
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.writing():
            database = lancedb.connect(self.folder)
            database.create_table(TABLE, schema=self.schema, mode='overwrite')
            write_text(path, description.to_json() + '\n')  # last: it marks a complete index
        self._table = self._open()

    def _open(self) -> Any:
        try:
            table = lancedb.connect(self.folder, read_consistency_interval=timedelta(0)).open_table(
                TABLE
            )
            if table.schema.names != self.schema.names:
                raise ValueError('its columns are not those of index.json')
            return table
        except (OSError, RuntimeError, ValueError) as error:
            raise ValueError(
                f'{self.folder}: the index is damaged ({_first_line(error)}); delete the folder '
                'and build it again'
            ) from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """See :meth:`Index.writing`. Threads of a process wait for each other."""
        with self._threads:
            if self._held:
                yield
                return
            with sole_process(self.folder / '.lock', 'writes to this index', per_file=True):
                self._held = True
                try:
                    yield
                finally:
                    self._held = False

    def changed(self) -> float:
        """See :meth:`Index.changed`."""
        return (self.folder / f'{TABLE}.lance' / '_versions').stat().st_mtime

    @_report_failure
    def _upsert(self, rows: pa.Table) -> None:
        ids = rows['product_id'].unique().to_pylist()
        merge = self._table.merge_insert(['product_id', 'image_index'])
        merge = merge.when_matched_update_all().when_not_matched_insert_all()
        merge.when_not_matched_by_source_delete(_among(ids)).execute(rows)

    @_report_failure
    def _delete(self, product_ids: list[str]) -> None:
        self._table.delete(_among(product_ids))

    @_report_failure
    def _search(self, query: np.ndarray, count: int, where: Group) -> pa.Table:
        text = to_text(where, _DIALECT)
        columns = ['product_id', 'image_index', *self.fields.values(), '_distance']
        search = self._table.search(query, vector_column_name='vector').distance_type('dot')
        search = search.limit(count).select(columns)
        if text:
            search = search.where(text, prefilter=True)
        if self._quantised:
            if text and self._table.count_rows(text) <= self.exact_rows:
                search = search.bypass_vector_index()
            else:
                search = search.nprobes(self.probes).refine_factor(self.refine)
        rows = search.to_arrow()
        similarity = 1 - rows['_distance'].to_numpy()  # Lance's 'dot' distance is 1 - product
        order = np.argsort(-similarity, kind='stable')
        rows = rows.take(order).select(columns[:-1])
        return rows.append_column('similarity', pa.array(similarity[order], pa.float32()))

    @property
    def _quantised(self) -> bool:
        return any(index.columns == ['vector'] for index in self._table.list_indices())

    @_report_failure
    def _count(self, where: Group) -> int:
        return self._table.count_rows(to_text(where, _DIALECT) or None)

    @_report_failure
    def _fetch(self, product_ids: list[str]) -> pa.Table:
        if not product_ids:
            return self.schema.empty_table()
        rows = self._table.search().where(_among(product_ids)).limit(None).to_arrow()
        return rows.select(self.schema.names)

    @_report_failure
    def keys(self) -> pa.Table:
        """See :meth:`Index.keys`."""
        columns = ['product_id', 'image_index', 'image_hash', 'row_hash']
        return self._table.search().select(columns).limit(None).to_arrow().select(columns)

    @_report_failure
    def _compact(self, kept_seconds: float) -> None:
        self._table.optimize(cleanup_older_than=timedelta(seconds=max(kept_seconds, 1e-3)))
        existing = {name for index in self._table.list_indices() for name in index.columns}
        rows = self._table.count_rows()
        if rows >= EXACT_BELOW and 'vector' not in existing:
            self._table.create_index(metric='dot', vector_column_name='vector', index_type='IVF_RQ')
        if rows and 'product_id' not in existing:
            self._table.create_scalar_index('product_id', index_type='BTREE')
        for name, field in self.fields.items():
            if rows and field not in existing:
                few = self.description.columns[name] != 'number' and self._has_few_values(field)
                kind = 'BITMAP' if few else 'BTREE'
                self._table.create_scalar_index(field, index_type=kind)

    def _has_few_values(self, field: str) -> bool:
        values: set = set()
        for batch in self._table.search().select([field]).limit(None).to_batches():
            values.update(batch[field].unique().to_pylist())
            if len(values) > _FEW:
                return False
        return True


def _among(product_ids: list[str]) -> str:
    return f'product_id in ({", ".join(map(_DIALECT.value, product_ids))})'


def _first_line(error: BaseException) -> str:
    return str(error).split(', /')[0].splitlines()[0][:200] if str(error) else type(error).__name__
