"""Candidate lists for retrieval: the positive and 100 negatives of its sub-category.

A hash of seed and ids orders the products, so a seed gives the same lists on every machine and
with every version of every library.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mvlt.structures import text_key


class CandidateList(NamedTuple):
    """Rows of a query and its candidates, the positive first.

    Text to image: the caption of row ``query`` against the images of ``candidates``. Image to
    text: its image against their captions. The positive is ``query`` itself.
    """

    query: int
    candidates: tuple[int, ...]


def draw_candidates(
    records: Sequence[Mapping],
    num_queries: int,
    num_candidates: int = 101,
    seed: int = 0,
    products: Sequence[str] | None = None,
    fewer: bool = False,
) -> list[CandidateList]:
    """Draw the 101 protocol of FashionBERT, Kaleido-BERT and MVLT.

    Candidates are one row each of ``num_candidates`` products: the query's and others of its
    sub-category, then of its main category, then of any. A negative never has the query's id or
    caption (:func:`mvlt.structures.text_key`).

    Args:
        records: ``product_id``, ``caption`` and optional categories of each row.
        num_queries: products to query, one row of each; at most all products.
        num_candidates: length of each list.
        seed: of the draw.
        products: ids to query, in this order, instead of ``num_queries`` drawn ones.
        fewer: allow shorter lists if products run out; skip queries without a negative.

    Raises:
        ValueError: too few products for a list, or an unknown id in ``products``.
    """
    keys = [text_key(record['caption']) for record in records]
    views = defaultdict(list)
    for row, record in enumerate(records):
        views[record['product_id']].append(row)
    first = {product: records[rows[0]] for product, rows in views.items()}
    of_category: dict[tuple, list[str]] = defaultdict(list)
    for product, record in first.items():
        for circle in _circles(record):
            of_category[circle].append(product)

    def view(product: str, rows: Sequence[int], salt: str) -> int:
        return min(rows, key=lambda row: _hash(seed, salt, product, row))

    queries = sorted(views, key=lambda product: _hash(seed, 'query', product))[:num_queries]
    if products is not None:
        unknown = [product for product in products if product not in views]
        if unknown:
            raise ValueError(
                f'no product {", ".join(unknown)} in the data; it has e.g. '
                f'{", ".join(list(views)[:5])}'
            )
        queries = list(products)
    lists = []
    for query in queries:
        positive = view(query, views[query], 'query')
        negatives: dict[str, int] = {}
        for circle in _circles(first[query]):
            for product in sorted(of_category[circle], key=lambda p: _hash(seed, query, p)):
                if len(negatives) == num_candidates - 1:
                    break
                if product == query or product in negatives:
                    continue
                rows = [row for row in views[product] if keys[row] != keys[positive]]
                if rows:
                    negatives[product] = view(product, rows, query)
        if fewer and not negatives:
            continue
        if len(negatives) < num_candidates - 1 and not fewer:
            largest = f'test_cfg.num_candidates={len(negatives) + 1}'
            lower = f', or lower num_candidates (--cfg-options {largest})'
            raise ValueError(
                f'product {query} has {len(negatives)} possible negatives, a list needs '
                f'{num_candidates - 1}: rank everything (retrieval_full_*)'
                + (lower if negatives else '')
            )
        lists.append(CandidateList(positive, (positive, *negatives.values())))
    return lists


def _circles(record: Mapping) -> list[tuple]:
    """Ever wider circles of similar products."""
    circles = [(key, record[key]) for key in ('sub_category', 'main_category') if key in record]
    return [*circles, ('any',)]


def _hash(*parts: object) -> bytes:
    return hashlib.sha256('\x1f'.join(map(str, parts)).encode()).digest()
