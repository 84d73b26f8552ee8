"""An exact index in memory, for tests and tiny galleries."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mvlt.retrieval.index.base import Index, IndexDescription
from mvlt.retrieval.index.filters import Group, mask
from mvlt.retrieval.ranking import top


class MemoryIndex(Index):
    """Plain arrays, which end with the process."""

    def __init__(self, description: IndexDescription, location: str = 'memory') -> None:
        super().__init__(description, location)
        self._rows = self.schema.empty_table()
        self._embeds = np.empty((0, description.dims), np.float32)

    def _keep(self, rows: pa.Table) -> None:
        self._rows = rows.combine_chunks()
        flat = self._rows['vector'].combine_chunks().flatten()
        self._embeds = np.asarray(flat).reshape(len(rows), self.description.dims)

    def _upsert(self, rows: pa.Table) -> None:
        kept = self._rows_without(rows['product_id'].to_pylist())
        self._keep(pa.concat_tables((kept, rows)))

    def _delete(self, product_ids: list[str]) -> None:
        self._keep(self._rows_without(product_ids))

    def _rows_without(self, product_ids: list[str]) -> pa.Table:
        return self._rows.filter(pc.invert(self._mask_of(product_ids)))

    def _mask_of(self, product_ids: list[str]) -> pa.ChunkedArray:
        return pc.is_in(self._rows['product_id'], pa.array(product_ids, pa.string()))

    def _search(self, query: np.ndarray, count: int, where: Group) -> pa.Table:
        similarity = np.where(mask(where, self._rows), self._embeds @ query, -np.inf)
        best = top(similarity, count)
        best = best[np.argsort(-similarity[best], kind='stable')]
        rows = self._rows.take(best).drop(['vector', 'image_hash', 'row_hash'])
        return rows.append_column('similarity', pa.array(similarity[best], pa.float32()))

    def _count(self, where: Group) -> int:
        return int(mask(where, self._rows).sum())

    def _fetch(self, product_ids: list[str]) -> pa.Table:
        return self._rows.filter(self._mask_of(product_ids))

    def keys(self) -> pa.Table:
        """See :meth:`Index.keys`."""
        return self._rows.select(['product_id', 'image_index', 'image_hash', 'row_hash'])

    def _compact(self, kept_seconds: float) -> None:
        pass
