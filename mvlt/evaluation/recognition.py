"""Accuracy and F-measures of category recognition."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mvlt.evaluation.base import Metric
from mvlt.registry import METRICS


@METRICS.register_module()
class CategoryMetric(Metric):
    """Accuracy (percent), macro-F and weighted F (0 to 1), SumC of a category level (Table 2).

    ``macro_f`` is scikit-learn's macro average, as in the released code: the mean F1 of the classes
    in truth *or* predictions, so a class that is only predicted counts as 0 (fidelity point 28).
    ``macro_f_of_truth`` averages over the ``classes_of_truth`` classes of the truth, ``weighted_f``
    weighs these by frequency. SumC = accuracy + 100 x macro_f.

    Example:
        truth [0, 0, 1], predicted [0, 2, 1]: F1 are 2/3, 1 and, of class 2, 0; macro_f 0.556,
        macro_f_of_truth 0.833.

    ``details`` (for results.json) has ``per_class`` (name, precision, recall, f1, samples, whether
    training has the class) and ``confusion`` (``names``, and ``counts`` with a row per true class).
    ``predictions`` (for predictions.json) has ``truth`` and ``predicted``, class indices in the
    order of the data.

    Args:
        category: label name, 'main_category' or 'sub_category'.
        head: the evaluated head and the prefix of the results; None = ``category``.
    """

    def __init__(
        self, category: str, head: str | None = None, prefix: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(prefix=prefix or head or category, **kwargs)
        self.category = category
        self.head = head or category
        self.details: dict[str, Any] = {}
        self.predictions: dict[str, list[int]] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Each sample: the label, -1 = unknown, and ``<head>_scores`` float (classes,).

        Raises:
            ValueError: a sample lacks the label or the scores, or a score is not finite.
        """
        for sample in data_samples:
            if self.category not in sample:
                raise ValueError(
                    f"CategoryMetric: the data have no label '{self.category}'; name its column "
                    '(test_dataloader.dataset.columns), or remove the metric (test_evaluator)'
                )
            truth = int(sample[self.category])
            if truth < 0:
                continue
            scores = sample.get(f'{self.head}_scores')
            if scores is None:
                raise ValueError(
                    f"CategoryMetric: the model has no head '{self.head}'; remove the metric "
                    '(test_evaluator), or test a model with this head'
                )
            if not scores.isfinite().all():
                raise ValueError(
                    f"CategoryMetric: head '{self.head}' gives NaN or infinite scores: the model "
                    'has diverged; test an earlier checkpoint'
                )
            self.results.append((truth, int(scores.argmax())))

    def compute_metrics(self, results: list[tuple[int, int]]) -> dict[str, float]:
        from sklearn.metrics import precision_recall_fscore_support  # slow to import

        truth, predicted = np.array(results).T
        classes = np.unique(truth)
        per_class = precision_recall_fscore_support(
            truth, predicted, labels=classes, average=None, zero_division=0
        )
        f1, samples = per_class[2], per_class[3]
        accuracy = 100 * float((truth == predicted).mean())
        occurring = np.union1d(classes, predicted)
        macro = float(f1.sum() / len(occurring))  # F1 of a class that is only predicted is 0
        self.predictions = dict(truth=truth.tolist(), predicted=predicted.tolist())
        self.details = self._details(truth, predicted, classes, np.stack(per_class, 1))
        return dict(
            accuracy=accuracy,
            macro_f=macro,
            macro_f_of_truth=float(f1.mean()),
            weighted_f=float(np.average(f1, weights=samples)),
            SumC=accuracy + 100 * macro,
            classes=float(len(occurring)),
            classes_of_truth=float(len(classes)),
            samples=float(len(truth)),
        )

    def _details(
        self, truth: np.ndarray, predicted: np.ndarray, classes: np.ndarray, per_class: np.ndarray
    ) -> dict[str, Any]:
        from sklearn.metrics import confusion_matrix

        meta = self.dataset_meta or {}
        names = list(meta.get(self.category) or ())
        # a head may have more rows than the data have classes
        names += [f'row {i}' for i in range(len(names), max(truth.max(), predicted.max()) + 1)]
        trained = meta.get(f'{self.category}_trained', len(names))
        seen = np.union1d(classes, predicted)
        return dict(
            class_set='classes that occur in the truth',
            per_class=[
                dict(
                    name=names[c],
                    precision=round(float(p), 4),
                    recall=round(float(r), 4),
                    f1=round(float(f), 4),
                    samples=int(n),
                    in_training=bool(c < trained),
                )
                for c, (p, r, f, n) in zip(classes, per_class)
            ],
            confusion=dict(
                names=[names[c] for c in seen],
                counts=confusion_matrix(truth, predicted, labels=seen).tolist(),
            ),
        )
