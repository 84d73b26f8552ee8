"""Metrics as pure functions, beside those of torchmetrics and scikit-learn."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F


def pessimistic_rank(scores: np.ndarray, positives: np.ndarray) -> int:
    """Rank of the best positive, 1 = first; ties count against it.

    With equal scores everywhere, the positive ranks last, not first by luck of the sort (fidelity
    point 25).

    Example:
        scores [0.9, 0.9, 0.1], positives [True, False, False] -> 2.

    Args:
        scores: (n,), higher is better; minus infinity = last.
        positives: bool (n,), at least one True.

    Raises:
        ValueError: no positive, or a NaN score.
    """
    scores, positives = np.asarray(scores), np.asarray(positives, dtype=bool)
    if scores.shape != positives.shape or scores.ndim != 1:
        raise ValueError(f'scores {scores.shape} and positives {positives.shape} must be one list')
    if not positives.any():
        raise ValueError('a query without a positive candidate has no rank')
    if np.isnan(scores).any():
        raise ValueError('a score is NaN: the model has diverged; test an earlier checkpoint')
    return 1 + int((scores[~positives] >= scores[positives].max()).sum())


def average_precision(scores: np.ndarray, positives: np.ndarray) -> float:
    """Mean precision at the ranks of all positives, 0 to 1; ties count against them.

    Example:
        scores [0.9, 0.8, 0.7], positives [True, False, True] -> (1/1 + 2/3) / 2.

    Args:
        scores, positives: see :func:`pessimistic_rank`.
    """
    positives = np.asarray(positives, dtype=bool)
    right = np.sort(np.asarray(scores)[positives])[::-1]
    wrong = np.sort(np.asarray(scores)[~positives])
    ahead = len(wrong) - np.searchsorted(wrong, right, side='left')
    counts = np.arange(1, len(right) + 1)
    return float((counts / (counts + ahead)).mean())


def recall_at_k(ranks: Sequence[int], k: int) -> float:
    """Percentage of queries whose positive is among the first ``k``.

    Example:
        ranks [1, 3, 12], k = 5 -> 66.7.
    """
    return 100 * float(np.mean(np.asarray(ranks) <= k))


def precision_at_k(positives: Sequence[bool], k: int) -> float:
    """Percentage of right answers among the first ``k``; a missing answer is wrong.

    Example:
        positives [True, False, True], k = 2 -> 50.
    """
    return 100 * float(np.sum(np.asarray(positives)[:k])) / k


def rank_statistics(ranks: Sequence[int], topk: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """R@k, their sum, median and mean rank, and MRR of a list of ranks.

    Example:
        ranks [1, 3, 12], topk (1, 5) -> R@1 33.3, R@5 66.7, SumR 100, median_rank 3, mean_rank
        5.33, MRR 47.2 (mean of 1, 1/3, 1/12).
    """
    recalls = {f'R@{k}': recall_at_k(ranks, k) for k in topk}
    return dict(
        recalls,
        SumR=sum(recalls.values()),
        median_rank=float(np.median(ranks)),
        mean_rank=float(np.mean(ranks)),
        MRR=100 * float(np.mean(1 / np.asarray(ranks, dtype=np.float64))),
    )


def fill_mean(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Fill masked pixels with the mean colour of the others: a trivial baseline.

    Args:
        image: float (C, H, W).
        mask: bool (H, W), True = masked, at least one False.
    """
    colour = image[:, ~mask].mean(1)
    return torch.where(mask, colour[:, None, None], image)


def fill_bilinear(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Fill masked pixels by interpolation, coarse to fine.

    The pull-push scheme (Gortler et al., 1996): means of the visible pixels at half the size, their
    gaps filled in the same way, enlarged bilinearly into the gaps.

    Args:
        image, mask: see :func:`fill_mean`.
    """
    if not mask.any():
        return image
    weight = (~mask).to(image.dtype)[None]
    share = F.avg_pool2d(weight, 2, ceil_mode=True)
    total = F.avg_pool2d(image * weight, 2, ceil_mode=True)
    coarse = fill_bilinear(total / share.clamp(min=1e-12), share[0] == 0)
    grown = F.interpolate(coarse[None], size=image.shape[1:], mode='bilinear', align_corners=False)
    return torch.where(mask, grown[0], image)
