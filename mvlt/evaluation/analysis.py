"""What stands behind a ranking metric: new captions, intervals, gallery size, near misses, hubs.

Everything follows from the results of a ranking loop and the tested records.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from mvlt.evaluation.functional import rank_statistics
from mvlt.evaluation.significance import paired_bootstrap
from mvlt.structures import text_key

_SIZES = (100, 300, 1000, 3000, 10_000, 30_000)
_TOPK = (1, 5, 10)


def analyse(
    results: Sequence[Mapping[str, Any]],
    records: Sequence[Mapping[str, Any]],
    galleries: Mapping[str, Sequence[int]],
    labels: Sequence[str],
    trained_captions: Collection[str] | None,
) -> dict[str, float]:
    """Metrics by direction, percent where nothing else is said.

    ``tir/new/R@1``: of queries whose caption, or right captions, do not occur in the training split
    of the data (``tir/new/queries``);
    ``tir/R@1_low``, ``_high``: 95 % interval, queries of a product drawn together (percentile
    bootstrap); ``tir/R@1_of_100``: expected among 100 random candidates, the match included;
    ``tir/MAP``: mean average precision over all right candidates; ``tir/NDCG@10``: gain of a
    candidate = share of the labels that it has in common with the query, 1 if it is right;
    ``tir/fine_R@1``, ``coarse_R@1``: the first candidate has all labels, or the sub-category, of
    the query; ``tir/hubness``: skewness of how often a candidate is among the first ten, 0 = all
    alike (Radovanovic et al., 2010).

    Args:
        results: of a loop of :mod:`mvlt.engine`.
        records: of the dataset, which rows of results count.
        galleries: direction -> the ranked rows; {} if each query has candidates of its own.
        labels: of the records, class ids, -1 = unknown.
        trained_captions: captions of the training data; None = unknown.
    """
    trained = None if trained_captions is None else {*map(text_key, trained_captions)}
    ids = np.array([[record[label] for label in labels] for record in records])
    metrics: dict[str, float] = {}
    for direction in dict.fromkeys(result['direction'] for result in results):
        of = [result for result in results if result['direction'] == direction]
        ranks = np.array([result['rank'] for result in of])
        rows = np.array([result['query'] for result in of])
        values: dict[str, float] = {}
        if trained is not None:
            is_new = np.array([_is_new(result, records, trained) for result in of])
            values['new/queries'] = float(is_new.sum())
            if is_new.any():
                recalls = rank_statistics(ranks[is_new], _TOPK)
                values |= {f'new/R@{k}': recalls[f'R@{k}'] for k in _TOPK}
        products = [records[row]['product_id'] for row in rows]
        hits = 100.0 * (ranks == 1)
        interval = paired_bootstrap(hits, np.zeros(len(hits)), groups=products)
        values['R@1_low'], values['R@1_high'] = interval.low, interval.high
        negatives = np.array([result['num_candidates'] - result['relevant'] for result in of])
        for size in _SIZES:
            if size <= negatives.min():
                values[f'R@1_of_{size}'] = expected_recall(ranks, negatives, size)
        values['MAP'] = 100 * float(np.mean([result['average_precision'] for result in of]))
        first = [first_candidates(result) for result in of]
        if labels:
            values |= _by_labels(of, first, ids, galleries.get(direction), labels)
        if direction in galleries:
            values['hubness'] = hubness(first, len(galleries[direction]))
        metrics |= {f'{direction}/{name}': value for name, value in values.items()}
    return metrics


def _is_new(
    result: Mapping[str, Any], records: Sequence[Mapping[str, Any]], trained: Collection[str]
) -> bool:
    """Whether training has no caption of the query: its own, or any right one of an image."""
    rows = result['right'] if result['direction'] == 'itr' else [result['query']]
    return all(text_key(records[row]['caption']) not in trained for row in rows)


def expected_recall(ranks: np.ndarray, negatives: np.ndarray, size: int) -> float:
    """Expected R@1 in percent among the best match and ``size`` - 1 random negatives.

    None of the ``rank`` - 1 better ones of N negatives is drawn with probability
    C(N - rank + 1, size - 1) / C(N, size - 1).

    Example:
        rank 2 of 3 negatives, size 2: one of three negatives is better -> 66.7.
    """
    from scipy.special import gammaln  # slow to import

    def log_choose(n: np.ndarray, k: int) -> np.ndarray:
        return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)

    drawn, worse = size - 1, negatives - (ranks - 1)
    possible = worse >= drawn
    share = np.zeros(len(ranks))
    share[possible] = np.exp(
        log_choose(worse[possible], drawn) - log_choose(negatives[possible], drawn)
    )
    return 100 * float(share.mean())


def first_candidates(result: Mapping[str, Any], count: int = 10) -> np.ndarray:
    """Rows of the first candidates of a result, best first; ties count against right ones."""
    scores, positives = np.asarray(result['scores']), np.asarray(result['positives'])
    order = np.lexsort((positives, -scores))[:count]
    return np.asarray(result['candidates'])[order]


def ndcg(gains: np.ndarray, everything: np.ndarray, k: int = 10) -> float:
    """NDCG@k, 0 to 1, of the gains of the first candidates; ``everything``: of all candidates.

    Example:
        gains [0, 1] of [1, 0]: (1 / log2 3) / 1 = 0.63.
    """
    ideal = np.sort(everything)[::-1][:k]
    if not ideal.any():
        return 0.0
    return float(_discounted(gains[:k]) / _discounted(ideal))


def _discounted(gains: np.ndarray) -> float:
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())


def hubness(first: Sequence[np.ndarray], gallery: int) -> float:
    """Skewness of how often each of ``gallery`` candidates is among the first ones."""
    from scipy.stats import skew  # slow to import

    counts = np.zeros(gallery)
    rows, often = np.unique(np.concatenate(first), return_counts=True)
    counts[: len(rows)] = often
    return float(skew(counts)) if counts.std() else 0.0


def _by_labels(
    results: Sequence[Mapping[str, Any]],
    first: Sequence[np.ndarray],
    ids: np.ndarray,
    gallery: Sequence[int] | None,
    labels: Sequence[str],
) -> dict[str, float]:
    """NDCG@10, fine and coarse R@1."""
    gains, fine, coarse = [], [], []
    kind = labels.index('sub_category') if 'sub_category' in labels else None
    for result, rows in zip(results, first):
        query = ids[result['query']]
        listed = result.get('pool', result['candidates'])
        candidates = np.asarray(listed if gallery is None else gallery)
        right = np.asarray(result['right'])
        equal = (ids[candidates] == query) & (query >= 0)
        everything = np.where(np.isin(candidates, right), 1.0, equal.mean(1))
        of_first = np.where(
            np.isin(rows, right), 1.0, ((ids[rows] == query) & (query >= 0)).mean(1)
        )
        gains.append(ndcg(of_first, everything))
        if len(rows):
            fine.append(of_first[0] == 1)
            alike = kind is not None and query[kind] >= 0 and ids[rows[0], kind] == query[kind]
            coarse.append(rows[0] in right or alike)
    values = {'NDCG@10': 100 * float(np.mean(gains)), 'fine_R@1': 100 * float(np.mean(fine))}
    if kind is not None:
        values['coarse_R@1'] = 100 * float(np.mean(coarse))
    return values
