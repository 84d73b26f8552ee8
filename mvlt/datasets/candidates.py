"""Candidate lists for retrieval: a query, its positive, and 100 others of the same sub-category.

Draws rank products by a hash of seed and ids, so the same seed gives the same lists on every
machine and with every version of every library.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mvlt.structures import text_key


class CandidateList(NamedTuple):
    """Rows of a dataset: the query's, and the candidates', the positive first.

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

    Candidates are one view each of ``num_candidates`` different products: the query's and others of
    the same sub-category; where that has too few, of the same main category, then of any. A
    row with the query's id or the query's caption (:func:`mvlt.structures.text_key`) is never drawn
    as a negative.

    Args:
        records: ``product_id``, ``caption`` and, where known, the categories, a row each.
        num_queries: one row each of so many products; all products where there are fewer.
        num_candidates: length of each list.
        seed: another seed, another draw.
        products: ids to ask for, in this order, in the place of ``num_queries`` drawn ones.
        fewer: lists may be shorter where there are too few products, and are left out where there
            is no negative at all.

    Raises:
        ValueError: there are too few products for a list, or one of ``products`` is not there.
    """
    keys = [text_key(record['caption']) for record in records]
    views = defaultdict(list)
    for row, record in enumerate(records):
        views[record['product_id']].append(row)
    first = {product: records[rows[0]] for product, rows in views.items()}
    of_category: dict[tuple, list[str]] = defaultdict(list)
    for product, record in first.items():
        for level in _levels(record):
            of_category[level].append(product)

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
        own = view(query, views[query], 'query')
        negatives: dict[str, int] = {}
        for level in _levels(first[query]):
            for product in sorted(of_category[level], key=lambda p: _hash(seed, query, p)):
                if len(negatives) == num_candidates - 1:
                    break
                if product == query or product in negatives:
                    continue
                rows = [row for row in views[product] if keys[row] != keys[own]]
                if rows:
                    negatives[product] = view(product, rows, query)
        if fewer and not negatives:
            continue
        if len(negatives) < num_candidates - 1 and not fewer:
            largest = f'test_cfg.num_candidates={len(negatives) + 1}'
            lower = f', or lower num_candidates (--cfg-options {largest})'
            raise ValueError(
                f'product {query} has {len(negatives)} possible negatives of the '
                f'{num_candidates - 1} that a list needs: rank everything (retrieval_full_*)'
                + (lower if negatives else '')
            )
        lists.append(CandidateList(own, (own, *negatives.values())))
    return lists


def _levels(record: Mapping) -> list[tuple]:
    """Ever wider circles of similar products."""
    circles = [(key, record[key]) for key in ('sub_category', 'main_category') if key in record]
    return [*circles, ('any',)]


def _hash(*parts: object) -> bytes:
    return hashlib.sha256('\x1f'.join(map(str, parts)).encode()).digest()
