"""Metrics as pure functions: arrays in, floats out.

PSNR and SSIM are torchmetrics', F-measures scikit-learn's; what stands here they do not have.
"""

from collections.abc import Sequence

import numpy as np


def pessimistic_rank(scores: np.ndarray, positives: np.ndarray) -> int:
    """Rank of the best positive, 1 = first; ties count against it.

    A model that gives every candidate the same score has found nothing: its positive ranks behind
    all negatives, not first by luck of the sort (fidelity point 25).

    Example:
        scores [0.9, 0.9, 0.1], positives [True, False, False] -> 2.

    Args:
        scores: (n,), higher is better.
        positives: bool (n,), at least one True.

    Raises:
        ValueError: no positive, or a score is not a number.
    """
    scores, positives = np.asarray(scores), np.asarray(positives, dtype=bool)
    if scores.shape != positives.shape or scores.ndim != 1:
        raise ValueError(f'scores {scores.shape} and positives {positives.shape} must be one list')
    if not positives.any():
        raise ValueError('a query without a positive candidate has no rank')
    if np.isnan(scores).any():
        raise ValueError('a matching score is not a number: the model has diverged')
    return 1 + int((scores[~positives] >= scores[positives].max()).sum())


def recall_at_k(ranks: Sequence[int], k: int) -> float:
    """Share of queries, in percent, whose positive is among the first ``k``.

    Example:
        ranks [1, 3, 12], k = 5 -> 66.7.
    """
    return 100 * float(np.mean(np.asarray(ranks) <= k))
