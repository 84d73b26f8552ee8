"""Ranks of both directions to the figures that papers report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mvlt.evaluation.base import Metric
from mvlt.evaluation.functional import precision_at_k, rank_statistics
from mvlt.registry import METRICS


@METRICS.register_module()
class RetrievalMetric(Metric):
    """R@k, SumR and MRR in percent, median and mean rank: ``tir/R@1``, ..., ``itr/MRR``.

    TIR: text query, ranked images. ITR: image query, ranked texts (paper Table 2). It scores what
    a loop of :mod:`mvlt.engine` hands it, one rank a query. Of several draws of candidates it gives
    the mean, and, as ``tir/R@1_sd``, the sample standard deviation over draws. Beside them stand
    ``tir/queries``, ``tir/candidates`` (mean of a query) and ``tir/chance``, the R@1 of a model
    that orders them by lot.

    Args:
        topk: the k's.
    """

    default_prefix = 'retrieval'

    def __init__(self, topk: Sequence[int] = (1, 5, 10), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.topk = tuple(topk)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: ``direction`` ('tir', 'itr'), ``rank`` (1 = first), ``draw`` (from 0).

        And, where it is known, ``relevant`` of ``num_candidates``.
        """
        for sample in data_samples:
            one = (sample['direction'], sample.get('draw', 0), int(sample['rank']))
            self.results.append((*one, _counts(sample)))

    def compute_metrics(
        self, results: list[tuple[str, int, int, tuple[int, int] | None]]
    ) -> dict[str, float]:
        """Ranks of all queries -> figures."""
        metrics = {}
        for direction in sorted({one[0] for one in results}, reverse=True):
            draws: dict[int, list[int]] = {}
            counts = []
            for name, draw, rank, count in results:
                if name == direction:
                    draws.setdefault(draw, []).append(rank)
                    counts.append(count)
            figures = [rank_statistics(draws[draw], self.topk) for draw in sorted(draws)]
            for name in figures[0]:
                values = [one[name] for one in figures]
                metrics[f'{direction}/{name}'] = float(np.mean(values))
                if len(values) > 1:
                    metrics[f'{direction}/{name}_sd'] = float(np.std(values, ddof=1))
            metrics.update(_beside(direction, counts))
        return metrics


@METRICS.register_module()
class PrecisionMetric(Metric):
    """P@k in percent, a kind of phrase: ``colour_kind/P@10``, and what stands beside it.

    It scores what :class:`mvlt.engine.AttributeQueryLoop` hands it.

    Args:
        topk: the k's.
    """

    default_prefix = 'phrases'

    def __init__(self, topk: Sequence[int] = (1, 10), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.topk = tuple(topk)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: ``direction`` and ``positives``, bool, of its first candidates, in order."""
        for sample in data_samples:
            precise = [precision_at_k(sample['positives'], k) for k in self.topk]
            self.results.append((sample['direction'], precise, _counts(sample)))

    def compute_metrics(
        self, results: list[tuple[str, list[float], tuple[int, int] | None]]
    ) -> dict[str, float]:
        """Means over the queries of each kind."""
        metrics = {}
        for kind in dict.fromkeys(kind for kind, _, _ in results):
            own = np.array([precise for name, precise, _ in results if name == kind])
            for k, value in zip(self.topk, own.mean(0)):
                metrics[f'{kind}/P@{k}'] = float(value)
            metrics.update(_beside(kind, [count for name, _, count in results if name == kind]))
        return metrics


@METRICS.register_module()
class KAGLMetric(Metric):
    """Text to image as Marqo's KAGL counts it, where several products have one title; percent.

    ``tir/R@k`` is the mean share of a title's pictures that are among the first k, so
    R@1 is below 100 where titles repeat; ``tir/MRR`` is 0 for a title whose first picture is not
    among the first ten. What a loop with ``relevant`` hands it is counted.

    Args:
        topk: the k's, at most 10.
        queries: so many titles, the first ones, count; None = all.
    """

    default_prefix = 'kagl'

    def __init__(
        self, topk: Sequence[int] = (1, 10), queries: int | None = 2000, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.topk = tuple(topk)
        self.queries = queries

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample of direction 'tir': ``query``, ``rank``, ``relevant``, ``positives``."""
        for one in data_samples:
            if one['direction'] == 'tir':
                found = [int(np.sum(one['positives'][:k])) / one['relevant'] for k in self.topk]
                self.results.append((one['query'], one['rank'], found, _counts(one)))

    def compute_metrics(
        self, results: list[tuple[int, int, list[float], tuple[int, int] | None]]
    ) -> dict[str, float]:
        """Means over the titles."""
        counted = sorted(results)[: self.queries]
        recalls = 100 * np.array([found for _, _, found, _ in counted]).mean(0)
        reciprocal = [1 / rank if rank <= 10 else 0.0 for _, rank, _, _ in counted]
        return {
            **{f'tir/R@{k}': float(value) for k, value in zip(self.topk, recalls)},
            'tir/MRR': 100 * float(np.mean(reciprocal)),
            **_beside('tir', [count for *_, count in counted]),
        }


def _counts(sample: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many candidates of a query are right, of how many; None where a loop does not say."""
    if 'num_candidates' not in sample:
        return None
    return int(sample['relevant']), int(sample['num_candidates'])


def _beside(name: str, counts: Sequence[tuple[int, int] | None]) -> dict[str, float]:
    """What a figure in percent must be read beside: queries, candidates, chance in percent."""
    beside = {f'{name}/queries': float(len(counts))}
    known = np.array([count for count in counts if count is not None], float)
    if len(known):
        beside[f'{name}/candidates'] = float(known[:, 1].mean())
        beside[f'{name}/chance'] = 100 * float((known[:, 0] / known[:, 1]).mean())
    return beside
