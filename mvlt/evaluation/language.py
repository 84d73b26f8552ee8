"""Accuracy of predicted hidden words."""

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from mvlt.registry import METRICS


@METRICS.register_module()
class MLMMetric(BaseMetric):
    """Share of hidden words, in percent, that the model names first; ``words`` counts them."""

    default_prefix = 'mlm'

    def __init__(self, collect_device: str = 'gpu', prefix: str | None = None) -> None:
        super().__init__(collect_device, prefix)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: ``word_labels`` (T,), ``word_predictions`` (N,) where labels >= 0."""
        for sample in data_samples:
            labels = sample['word_labels']
            labels = labels[labels >= 0]
            right = int((labels.cpu() == sample['word_predictions'].cpu()).sum())
            self.results.append((right, len(labels)))

    def compute_metrics(self, results: list[tuple[int, int]]) -> dict[str, float]:
        """Counts -> percent; no hidden word at all gives 0."""
        right, words = (sum(column) for column in zip(*results))
        return dict(accuracy=100 * right / max(words, 1), words=float(words))
