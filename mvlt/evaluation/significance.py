"""Significance of the difference of two models on the same queries.

The tests ignore the variance of training: for that, train several seeds.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Difference(NamedTuple):
    """First minus second: ``value``, and its confidence interval ``low`` to ``high``."""

    value: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    statistic: Callable[[np.ndarray], float] = np.mean,
    groups: Sequence[Any] | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """Percentile interval of ``statistic(first) - statistic(second)`` (Efron, 1979).

    Queries are resampled with replacement, the same for both models. Queries of a group (images of
    a product, its captions, several draws of candidates) are drawn together, because their errors
    are correlated.

    Args:
        first, second: (n, ...), results of each query, in the same order.
        statistic: of such an array; the mean by default.
        groups: group of each query, (n,); None = each query is a group.
        confidence: 0 to 1.
        resamples: number of draws.
        seed: of the draws.

    Raises:
        ValueError: arrays of different length, or no query.
    """
    from scipy.stats import bootstrap  # slow to import

    if len(first) != len(second) or not len(first):
        raise ValueError(
            f'{len(first)} and {len(second)} queries: give results of the same queries'
        )
    everything = np.arange(len(first))
    names = everything if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    rows = np.arange(int(names.max()) + 1)

    def difference(drawn: np.ndarray) -> float:
        often = np.bincount(drawn, minlength=len(rows))
        chosen = np.repeat(everything, often[names])
        return float(statistic(first[chosen]) - statistic(second[chosen]))

    if len(rows) == 1:
        value = difference(rows)
        return Difference(value, value, value)
    interval = bootstrap(
        (rows,),
        difference,
        vectorized=False,
        n_resamples=resamples,
        confidence_level=confidence,
        method='percentile',
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Difference(difference(rows), float(interval.low), float(interval.high))


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided p of McNemar's exact test (1947): do two models miss different queries?

    Null hypothesis: a query that only one model has right is equally likely to be either model's.

    Example:
        first alone is right 9 times, second alone once: p = 2 (C(10, 0) + C(10, 1)) / 2^10 = 0.021.

    Args:
        first, second: bool (n,), whether a query is right, in the same order.
    """
    from scipy.stats import binomtest  # slow to import

    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return (
        float(binomtest(only_first, only_first + only_second).pvalue)
        if only_first + only_second
        else 1.0
    )
