"""The nearest rows of an index, one for each product or caption."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mvlt.retrieval.index import Index, Where

Row = dict[str, Any]  # a row of a search: product_id, image_index, score, the index's columns


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
    while True:
        rows = index.search(query, requested, where).to_pylist()
        best: dict[str, Row] = {}
        for row in rows:
            row['score'] = row.pop('similarity')
            if row['product_id'] not in exclude:
                best.setdefault(row[distinct], row)
        unique = list(best.values())
        if dedup_threshold is not None and unique:
            unique = _deduplicated(index, unique, dedup_threshold)
        if len(unique) >= count or len(rows) < requested:
            return unique[:count]
        requested *= 4


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
