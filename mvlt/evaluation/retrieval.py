"""Ranks of both directions to the figures that papers report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mvlt.evaluation.functional import rank_statistics
from mvlt.registry import METRICS


@METRICS.register_module()
class RetrievalMetric(BaseMetric):
    """R@k and SumR in percent, median and mean rank, MRR: ``tir/R@1``, ..., ``itr/MRR``.

    TIR: text query, ranked images. ITR: image query, ranked texts (paper Table 2). It scores what
    a loop of :mod:`mvlt.engine` hands it, one rank a query. Of several draws of candidates it gives
    the mean, and, as ``tir/R@1_sd``, the sample standard deviation over draws.

    Args:
        topk: the k's.
    """

    default_prefix = 'retrieval'

    def __init__(
        self,
        topk: Sequence[int] = (1, 5, 10),
        collect_device: str = 'gpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.topk = tuple(topk)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: ``direction`` ('tir', 'itr'), ``rank`` (1 = first), ``draw`` (from 0)."""
        for sample in data_samples:
            self.results.append((sample['direction'], sample.get('draw', 0), int(sample['rank'])))

    def compute_metrics(self, results: list[tuple[str, int, int]]) -> dict[str, float]:
        """Ranks of all queries -> figures."""
        metrics = {}
        for direction in sorted({direction for direction, _, _ in results}, reverse=True):
            draws: dict[int, list[int]] = {}
            for name, draw, rank in results:
                if name == direction:
                    draws.setdefault(draw, []).append(rank)
            figures = [rank_statistics(draws[draw], self.topk) for draw in sorted(draws)]
            for name in figures[0]:
                values = [one[name] for one in figures]
                metrics[f'{direction}/{name}'] = float(np.mean(values))
                if len(values) > 1:
                    metrics[f'{direction}/{name}_sd'] = float(np.std(values, ddof=1))
            metrics[f'{direction}/queries'] = float(sum(len(ranks) for ranks in draws.values()))
        return metrics
