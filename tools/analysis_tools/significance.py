"""Is one model better than another on the same queries, or was it luck of the queries?

These say nothing of the luck of the training: for that, train several seeds.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Difference(NamedTuple):
    """First less second: ``value``, and the interval ``low`` to ``high`` that holds it."""

    value: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether 0 lies outside of the interval."""
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

    Queries are drawn anew with replacement, the same ones for both; those of one group (the views
    of a product, its captions, several draws of candidates) together, since they err together.

    Args:
        first, second: (n, ...), what is known of each query; one order.
        statistic: of such an array; the mean by default.
        groups: what each query belongs to, (n,); None = each is alone.
        confidence: 0 to 1.
        resamples: how often they are drawn.
        seed: of the draws.

    Raises:
        ValueError: arrays of different length, or of no query.
    """
    from scipy.stats import bootstrap  # slow to import

    if len(first) != len(second) or not len(first):
        raise ValueError(f'{len(first)} and {len(second)} queries: the same ones are needed')
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
    found = bootstrap(
        (rows,),
        difference,
        vectorized=False,
        n_resamples=resamples,
        confidence_level=confidence,
        method='percentile',
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Difference(difference(rows), float(found.low), float(found.high))


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided p of McNemar's exact test (1947): do two models miss different queries?

    Of the queries that just one of them has right, each is as likely to be the one or the other's.

    Example:
        first alone is right 9 times, second alone once: p = 2 (C(10, 0) + C(10, 1)) / 2^10 = 0.021.

    Args:
        first, second: bool (n,), whether a query is right; one order.
    """
    from scipy.stats import binomtest  # slow to import

    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    one, other = int((first & ~second).sum()), int((second & ~first).sum())
    return float(binomtest(one, one + other).pvalue) if one + other else 1.0
