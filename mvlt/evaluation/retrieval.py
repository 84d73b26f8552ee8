"""Recall at k for both directions."""

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from mvlt.evaluation.functional import pessimistic_rank, recall_at_k
from mvlt.registry import METRICS


@METRICS.register_module()
class RetrievalMetric(BaseMetric):
    """R@k and SumR in percent, per direction: ``tir/R@1``, ..., ``itr/SumR`` (paper Table 2).

    TIR: text query, ranked images. ITR: image query, ranked texts. Ties count against the model.
    It scores what :class:`mvlt.engine.RetrievalLoop` hands it, one result a query.

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
        """Each sample: ``direction`` ('tir', 'itr'), ``scores`` (n,), ``positives`` bool (n,)."""
        for sample in data_samples:
            rank = pessimistic_rank(sample['scores'], sample['positives'])
            self.results.append((sample['direction'], rank))

    def compute_metrics(self, results: list[tuple[str, int]]) -> dict[str, float]:
        """Ranks of all queries -> recalls."""
        metrics = {}
        for direction in sorted({direction for direction, _ in results}, reverse=True):
            ranks = [rank for name, rank in results if name == direction]
            recalls = {f'R@{k}': recall_at_k(ranks, k) for k in self.topk}
            metrics.update({f'{direction}/{name}': value for name, value in recalls.items()})
            metrics[f'{direction}/SumR'] = sum(recalls.values())
            metrics[f'{direction}/queries'] = float(len(ranks))
        return metrics
