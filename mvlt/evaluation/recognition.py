"""Accuracy and macro-F of category recognition."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from sklearn.metrics import f1_score

from mvlt.registry import METRICS


@METRICS.register_module()
class CategoryMetric(BaseMetric):
    """Accuracy (percent), macro-F (0 to 1) and SumC of one category level (paper Table 2).

    macro-F is the mean F1 of the classes that occur in the evaluated data; a class that is only
    predicted lowers the precision of others but has no F1 of its own to average. ``classes`` says
    how many were averaged. SumC = accuracy + 100 x macro-F.

    Args:
        category: label name, 'main_category' or 'sub_category'; also the prefix of the results.
    """

    def __init__(
        self,
        category: str,
        collect_device: str = 'gpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix or category)
        self.category = category

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: the label and ``<category>_scores`` float (classes,)."""
        for sample in data_samples:
            predicted = int(sample[f'{self.category}_scores'].argmax())
            self.results.append((int(sample[self.category]), predicted))

    def compute_metrics(self, results: list[tuple[int, int]]) -> dict[str, float]:
        """Pairs of truth and prediction -> the figures."""
        truth, predicted = np.array(results).T
        classes = np.unique(truth)
        accuracy = 100 * float((truth == predicted).mean())
        macro = float(f1_score(truth, predicted, labels=classes, average='macro', zero_division=0))
        return dict(
            accuracy=accuracy,
            macro_f=macro,
            SumC=accuracy + 100 * macro,
            classes=float(len(classes)),
            samples=float(len(truth)),
        )
