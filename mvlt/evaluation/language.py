"""Accuracy and perplexity of predicted masked tokens."""

import math
from collections.abc import Sequence
from typing import Any

from mvlt.evaluation.base import Metric
from mvlt.registry import METRICS


@METRICS.register_module()
class MLMMetric(Metric):
    """Accuracy (percent) and perplexity of masked tokens; ``words`` is their number.

    Perplexity is exp of the mean negative log-probability: 1 = certain and right, the size of the
    tokenizer = chance.
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
        """Metrics of all samples; accuracy 0 and perplexity 1 without masked tokens."""
        right, surprise, tokens = (sum(column) for column in zip(*results))
        return dict(
            accuracy=100 * right / max(tokens, 1),
            perplexity=math.exp(surprise / max(tokens, 1)),
            words=float(tokens),
        )
