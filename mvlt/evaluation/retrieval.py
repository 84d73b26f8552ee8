"""Retrieval metrics as papers report them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mvlt.evaluation.base import Metric
from mvlt.evaluation.functional import precision_at_k, rank_statistics
from mvlt.registry import METRICS


@METRICS.register_module()
class RetrievalMetric(Metric):
    """R@k, SumR and MRR in percent, median and mean rank: ``tir/R@1``, ..., ``itr/MRR``.

    TIR: text query, ranked images. ITR: image query, ranked texts (paper Table 2). It reads the
    results of a loop of :mod:`mvlt.engine`, a rank per query. Several draws of candidates give the
    mean and, as ``tir/R@1_sd``, the sample standard deviation over draws. ``tir/queries``,
    ``tir/candidates`` (mean of a query) and ``tir/chance``, the R@1 of a random order, come with
    them.

    Args:
        topk: the k's.
    """

    default_prefix = 'retrieval'

    def __init__(self, topk: Sequence[int] = (1, 5, 10), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.topk = tuple(topk)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: ``direction`` ('tir', 'itr'), ``rank`` (1 = first), ``draw`` (from 0).

        Optional: ``relevant`` and ``num_candidates``.
        """
        for sample in data_samples:
            direction, rank = sample['direction'], int(sample['rank'])
            self.results.append((direction, sample.get('draw', 0), rank, _counts(sample)))

    def compute_metrics(
        self, results: list[tuple[str, int, int, tuple[int, int] | None]]
    ) -> dict[str, float]:
        metrics = {}
        for direction in sorted({name for name, *_ in results}, reverse=True):
            draws: dict[int, list[int]] = {}
            counts = []
            for name, draw, rank, count in results:
                if name == direction:
                    draws.setdefault(draw, []).append(rank)
                    counts.append(count)
            statistics = [rank_statistics(draws[draw], self.topk) for draw in sorted(draws)]
            for name in statistics[0]:
                values = [of_draw[name] for of_draw in statistics]
                metrics[f'{direction}/{name}'] = float(np.mean(values))
                if len(values) > 1:
                    metrics[f'{direction}/{name}_sd'] = float(np.std(values, ddof=1))
            metrics.update(_context(direction, counts))
        return metrics


@METRICS.register_module()
class PrecisionMetric(Metric):
    """P@k in percent per kind of query, e.g. ``colour_kind/P@10``.

    It reads the results of :class:`mvlt.engine.AttributeQueryLoop`.

    Args:
        topk: the k's.
    """

    default_prefix = 'phrases'

    def __init__(self, topk: Sequence[int] = (1, 10), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.topk = tuple(topk)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: ``direction`` and ``positives``, bool, of its first candidates."""
        for sample in data_samples:
            precision = [precision_at_k(sample['positives'], k) for k in self.topk]
            self.results.append((sample['direction'], precision, _counts(sample)))

    def compute_metrics(
        self, results: list[tuple[str, list[float], tuple[int, int] | None]]
    ) -> dict[str, float]:
        metrics = {}
        for kind in dict.fromkeys(kind for kind, _, _ in results):
            precisions = np.array([values for name, values, _ in results if name == kind])
            for k, value in zip(self.topk, precisions.mean(0)):
                metrics[f'{kind}/P@{k}'] = float(value)
            metrics.update(_context(kind, [count for name, _, count in results if name == kind]))
        return metrics


@METRICS.register_module()
class KAGLMetric(Metric):
    """Text to image in percent, as Marqo's KAGL defines it for titles of several products.

    ``tir/R@k`` is the mean share of a title's images among the first k, so R@1 is below 100 if
    titles repeat; ``tir/MRR`` is 0 for a title without an image among the first ten.

    Args:
        topk: the k's, at most 10.
        queries: number of titles to evaluate, the first ones; None = all.
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
        for sample in data_samples:
            if sample['direction'] == 'tir':
                hits = [int(np.sum(sample['positives'][:k])) for k in self.topk]
                recalls = [count / sample['relevant'] for count in hits]
                self.results.append((sample['query'], sample['rank'], recalls, _counts(sample)))

    def compute_metrics(
        self, results: list[tuple[int, int, list[float], tuple[int, int] | None]]
    ) -> dict[str, float]:
        evaluated = sorted(results)[: self.queries]
        recalls = 100 * np.array([recalls for _, _, recalls, _ in evaluated]).mean(0)
        reciprocal = [1 / rank if rank <= 10 else 0.0 for _, rank, _, _ in evaluated]
        return {
            **{f'tir/R@{k}': float(value) for k, value in zip(self.topk, recalls)},
            'tir/MRR': 100 * float(np.mean(reciprocal)),
            **_context('tir', [count for *_, count in evaluated]),
        }


def _counts(sample: Mapping[str, Any]) -> tuple[int, int] | None:
    """Numbers of right and of all candidates of a query, if the loop gives them."""
    if 'num_candidates' not in sample:
        return None
    return int(sample['relevant']), int(sample['num_candidates'])


def _context(name: str, counts: Sequence[tuple[int, int] | None]) -> dict[str, float]:
    """Number of queries, mean number of candidates, chance in percent."""
    context = {f'{name}/queries': float(len(counts))}
    numbers = np.array([count for count in counts if count is not None], float)
    if len(numbers):
        context[f'{name}/candidates'] = float(numbers[:, 1].mean())
        context[f'{name}/chance'] = 100 * float((numbers[:, 0] / numbers[:, 1]).mean())
    return context
