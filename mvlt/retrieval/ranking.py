"""The ranking of candidates, used by evaluation, search and tools.

A query has n candidates. Their similarity is cheap; the matching head is more exact and slow.
``rerank`` selects the score: None, the similarity; 'itm', the matching logits, as the paper ranks;
'sum', the matching logits plus the similarity times the logit scale, as BLIP ranks.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np

from mvlt.evaluation.functional import pessimistic_rank

Rerank = Literal['itm', 'sum']


class Ranking(NamedTuple):
    """Scores of a query's candidates.

    scores: float64 (n,), higher is better; minus infinity: last, and not shown.
    itm_logits: float32 (n,), log-odds of a match; NaN where the matching head did not run.
    """

    scores: np.ndarray
    itm_logits: np.ndarray

    def first(self, count: int) -> np.ndarray:
        """The best candidates, best first, int (at most count,); ties in the candidates' order."""
        best = top(self.scores, count)
        return best[np.argsort(-self.scores[best], kind='stable')]

    def rank_of(self, positives: np.ndarray) -> int:
        """Rank of the best positive, 1 = first; ties count against it. ``positives`` bool (n,)."""
        return pessimistic_rank(self.scores, positives)


def rank(
    candidates: np.ndarray,
    count: int,
    match: Callable[[np.ndarray], np.ndarray] | None,
    similarity: np.ndarray | None = None,
    rerank: Rerank | None = 'itm',
    logit_scale: float = 1.0,
) -> Ranking:
    """Order the candidates of one query.

    Args:
        candidates: indices that may appear, int (m,), e.g. of :func:`rerank_candidates`.
        count: n.
        match: candidates int (m,) -> matching logits float (m,); not needed if ``rerank`` is None.
        similarity: cosine of the embeddings, float (n,); None for a model without embeddings.
        rerank: see this module.
        logit_scale: factor of the similarity in 'sum'.

    Raises:
        ValueError: an unknown ``rerank``, or one that needs embeddings.
    """
    check_rerank(rerank, similarity is not None)
    scores = np.full(count, -np.inf)
    itm_logits = np.full(count, np.nan, np.float32)
    if rerank != 'itm' and similarity is not None:
        scores[candidates] = similarity[candidates]
    if rerank is not None and match is not None and len(candidates):
        itm_logits[candidates] = match(candidates)
        base = logit_scale * scores[candidates] if rerank == 'sum' else 0
        scores[candidates] = base + itm_logits[candidates].astype(np.float64)
    return Ranking(scores, itm_logits)


def rerank_candidates(
    allowed: np.ndarray, similarity: np.ndarray | None, rerank_topk: int | None
) -> np.ndarray:
    """The candidates that the matching head reads, int (m,), ascending.

    Args:
        allowed: bool (n,), which candidates may appear.
        similarity: float (n,); None for a model without embeddings.
        rerank_topk: number of the most similar candidates; None = all allowed candidates.
    """
    if similarity is None or rerank_topk is None:
        return np.flatnonzero(allowed)
    return top(np.where(allowed, similarity, -np.inf), rerank_topk)


def top(values: np.ndarray, count: int) -> np.ndarray:
    """Indices of the ``count`` highest of (n,), ascending; of ties the first; none that is -inf."""
    if len(values) > count:
        bound = np.partition(values, -count)[-count]
        above = values > bound
        ties = np.flatnonzero(values == bound)[: count - int(above.sum())]
        above[ties] = True
    else:
        above = np.ones(len(values), dtype=bool)
    return np.flatnonzero(above & (values > -np.inf))


def check_rerank(rerank: str | None, embeds: bool) -> None:
    """Refuse an unknown ``rerank``, or one that needs embeddings where the model gives none."""
    legal = (None, *get_args(Rerank)) if embeds else ('itm',)
    if rerank not in legal:
        hint = '' if embeds else ' (other values need embeddings, e.g. of an itc head)'
        raise ValueError(f'rerank={rerank!r}; legal here: {", ".join(map(repr, legal))}{hint}')
