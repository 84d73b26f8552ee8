"""Accuracy and perplexity of predicted hidden words."""

import math
from collections.abc import Sequence
from typing import Any

from mvlt.evaluation.base import Metric
from mvlt.registry import METRICS


@METRICS.register_module()
class MLMMetric(Metric):
    """Share of hidden words, in percent, that the model names first, and their perplexity.

    Perplexity is exp of the mean negative log-probability of the hidden words: 1 = certain and
    right, the size of the tokenizer = knows nothing. ``words`` counts them.
    """

    default_prefix = 'mlm'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: ``mlm_labels`` (T,); ``word_predictions``, ``word_log_probs`` (N,)."""
        for sample in data_samples:
            labels = sample['mlm_labels'].cpu()
            labels = labels[labels >= 0]
            right = int((labels == sample['word_predictions'].cpu()).sum())
            surprise = -float(sample['word_log_probs'].double().sum())
            self.results.append((right, surprise, len(labels)))

    def compute_metrics(self, results: list[tuple[int, float, int]]) -> dict[str, float]:
        """Counts -> percent; without any hidden word the accuracy is 0 and the perplexity 1."""
        right, surprise, words = (sum(column) for column in zip(*results))
        return dict(
            accuracy=100 * right / max(words, 1),
            perplexity=math.exp(surprise / max(words, 1)),
            words=float(words),
        )
