"""The only ranking: loops, inferencers, page and tools order candidates by it.

A query has n candidates. An encoder may say cheaply how similar each is; the matching head says
more exactly, and slowly, whether they belong together. ``order`` says what counts: 'matching', the
matching head's log-odds, as the paper ranks; 'vectors', the encoder's similarity; 'both', the sum.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np

from mvlt.evaluation.functional import pessimistic_rank

Order = Literal['both', 'matching', 'vectors']


class Ranking(NamedTuple):
    """How the candidates of a query are ordered.

    merits: float64 (n,), higher is better; minus infinity: behind all others, not shown.
    log_odds: float32 (n,), the matching head's; not a number where it was not asked.
    """

    merits: np.ndarray
    log_odds: np.ndarray

    def first(self, count: int) -> np.ndarray:
        """The best candidates, best first, int (at most count,); ties in the candidates' order."""
        best = top(self.merits, count)
        return best[np.argsort(-self.merits[best], kind='stable')]

    def rank_of(self, positives: np.ndarray) -> int:
        """Rank of the best positive, 1 = first; ties count against it. ``positives`` bool (n,)."""
        return pessimistic_rank(self.merits, positives)


def rank(
    chosen: np.ndarray,
    count: int,
    score: Callable[[np.ndarray], np.ndarray] | None,
    similarity: np.ndarray | None = None,
    order: Order = 'matching',
) -> Ranking:
    """Order the candidates of one query.

    Args:
        chosen: the candidates that may be found, int (m,): all of them, or :func:`shortlisted`.
        count: n.
        score: candidates int (m,) -> log-odds float (m,); None where 'vectors' needs none.
        similarity: the encoder's, float (n,); None where there is no encoder.
        order: see this module.

    Raises:
        ValueError: an order that is unknown, or needs an encoder.
    """
    check_order(order, similarity is not None)
    merits = np.full(count, -np.inf)
    log_odds = np.full(count, np.nan, np.float32)
    if order != 'matching' and similarity is not None:
        merits[chosen] = similarity[chosen]
    if score is not None and order != 'vectors' and len(chosen):
        log_odds[chosen] = score(chosen)
        merits[chosen] = (0 if order == 'matching' else merits[chosen]) + log_odds[chosen].astype(
            np.float64
        )
    return Ranking(merits, log_odds)


def shortlisted(
    allowed: np.ndarray, similarity: np.ndarray | None, shortlist: int | None
) -> np.ndarray:
    """The candidates that are worth the matching head, int (m,), ascending.

    Args:
        allowed: bool (n,), which may be found.
        similarity: the encoder's, float (n,); None = no encoder, all that are allowed.
        shortlist: how many; None = all that are allowed.
    """
    if similarity is None or shortlist is None:
        return np.flatnonzero(allowed)
    return top(np.where(allowed, similarity, -np.inf), shortlist)


def top(values: np.ndarray, count: int) -> np.ndarray:
    """Places of the ``count`` highest of (n,), ascending; of ties the first; none that is -inf."""
    if len(values) > count:
        bound = np.partition(values, -count)[-count]
        above = values > bound
        ties = np.flatnonzero(values == bound)[: count - int(above.sum())]
        above[ties] = True
    else:
        above = np.ones(len(values), dtype=bool)
    return np.flatnonzero(above & (values > -np.inf))


def check_order(order: str, encoder: bool) -> None:
    """Refuse an order that is unknown, or that needs an encoder where there is none."""
    legal = get_args(Order) if encoder else ('matching',)
    if order not in legal:
        raise ValueError(
            f"order='{order}'; legal here: {', '.join(legal)}"
            + ('' if encoder else ' (the others need an encoder, as model.heads.mlm gives)')
        )
