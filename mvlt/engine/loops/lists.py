"""Ranks short candidate lists: the protocols 101 and 101 x 5."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mvlt.datasets import CandidateList, draw_candidates
from mvlt.datasets.candidate_files import DIRECTIONS, Draw, read_candidates
from mvlt.engine.loops.ranking import RankingLoop, result_of, share
from mvlt.files import file_sha256
from mvlt.registry import LOOPS
from mvlt.retrieval.ranking import rank, rerank_candidates
from mvlt.retrieval.scorer import Progress


class Query(NamedTuple):
    """A list to rank: its direction, its rows and the number of its draw."""

    direction: str
    lists: CandidateList
    draw: int = 0


@LOOPS.register_module()
class RetrievalLoop(RankingLoop):
    """Ranks 101 candidates for each query.

    Each image is decoded once. Ranks share the queries and make batches of their own pairs: in
    float32 any number of processes ranks alike, in bfloat16 nearly so.

    Args:
        dataloader: its dataset gives the rows; its batch size and workers decode the images.
        evaluator: gets a result per query (:class:`mvlt.evaluation.RetrievalMetric`).
        directions: 'tir' (text query, ranked images), 'itr' (image query, ranked texts).
        num_queries, num_candidates, seed, fewer: of :func:`mvlt.datasets.draw_candidates`.
        products: ids to query instead of ``num_queries`` random products.
        draws: draws with the seeds seed, seed + 1, ...; 5 is FashionViL's protocol.
        candidates: a file of lists (:mod:`mvlt.datasets.candidate_files`); replaces the other
            arguments of the draw.
        kwargs: rerank, rerank_topk, encoder, scorer, batch_size, amp_dtype: :class:`RankingLoop`.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Any,
        directions: Sequence[str] = DIRECTIONS,
        num_queries: int = 1000,
        num_candidates: int = 101,
        seed: int = 0,
        products: Sequence[str] | None = None,
        draws: int = 1,
        candidates: str | None = None,
        fewer: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(runner, dataloader, evaluator, **kwargs)
        unknown = set(directions) - set(DIRECTIONS)
        if unknown or not directions:
            raise ValueError(f'RetrievalLoop.directions={directions}; legal: {DIRECTIONS}')
        if draws < 1:
            raise ValueError(f'RetrievalLoop.draws={draws}; give 1 or more')
        self.directions = tuple(directions)
        self.num_queries = num_queries
        self.num_candidates = num_candidates
        self.seed = seed
        self.products = products
        self.draws = draws
        self.candidates = candidates
        self.fewer = fewer

    @property
    def protocol(self) -> dict[str, Any]:
        directions = [name for name in self.directions if any(draw[name] for draw in self.lists)]
        lists = [query for draw in self.lists for name in directions for query in draw[name]]
        lengths = sorted({len(query.candidates) for query in lists})
        source: dict[str, Any] = dict(seeds=list(range(self.seed, self.seed + self.draws)))
        if self.candidates:
            sha256 = file_sha256(self.candidates)
            source = dict(candidates=self.candidates, candidates_sha256=sha256)
        return dict(
            name=f'{lengths[-1]}' + (f' x {len(self.lists)}' if len(self.lists) > 1 else ''),
            directions=directions,
            num_queries={name: len(self.lists[0][name]) for name in directions},
            num_candidates=lengths[0] if len(lengths) == 1 else lengths,
            **self._negatives_of_kind(lists),
            lists_sha256=hashlib.sha256(repr(lists).encode()).hexdigest(),
            draws=len(self.lists),
            **source,
            rerank=self.rerank,
            rerank_topk=self.rerank_topk,
            ties='against the model',
        )

    def _negatives_of_kind(self, lists: Sequence[CandidateList]) -> dict[str, float]:
        """Mean number of negatives of the query's sub-category; {} without that label.

        Lists of small sub-categories are filled up from others.
        """
        if not lists or 'sub_category' not in self.records[lists[0].query]:
            return {}
        kinds = [record['sub_category'] for record in self.records]
        counts = [
            sum(kinds[row] == kinds[query.query] for row in query.candidates[1:]) for query in lists
        ]
        return dict(negatives_of_kind=round(float(np.mean(counts)), 2))

    @cached_property
    def lists(self) -> list[Draw]:
        """The lists of every draw, as rows of the dataset."""
        if self.candidates:
            return read_candidates(self.candidates, self.records)
        counts = self.num_queries, self.num_candidates
        draws = (
            draw_candidates(self.records, *counts, seed, self.products, self.fewer)
            for seed in range(self.seed, self.seed + self.draws)
        )
        return [dict.fromkeys(DIRECTIONS, lists) for lists in draws]

    def rank(self) -> tuple[list[dict], int, dict[str, float]]:
        """Score this rank's queries."""
        queries = [
            Query(direction, lists, number)
            for number, draw in enumerate(self.lists)
            for direction in self.directions
            for lists in draw[direction]
        ]
        mine = share(queries)
        similarity = self.similarity(queries, mine)
        listed = [
            rerank_candidates(np.ones(len(query.lists.candidates), bool), cosines, self.rerank_topk)
            for query, cosines in zip(mine, similarity)
        ]
        results, logit_scale = [], self.logit_scale
        for query, rows, cosines, logits in zip(mine, listed, similarity, self.score(mine, listed)):
            count = len(query.lists.candidates)
            positives = np.arange(count) == 0
            itm_logits = np.full(count, np.nan, np.float32)
            itm_logits[rows] = logits
            match = itm_logits.__getitem__
            ranking = rank(rows, count, match, cosines, self.rerank, logit_scale)
            ranked = np.flatnonzero(ranking.scores > -np.inf)
            asked = dict(direction=query.direction, draw=query.draw, query=query.lists.query)
            if self.analysis and len(ranked) < count:
                asked['pool'] = list(query.lists.candidates)  # those that were not reranked, too
            results.append(result_of(ranking, positives, ranked, query.lists.candidates, **asked))
        return results, len(queries), {}

    def similarity(self, queries: Sequence[Query], mine: Sequence[Query]) -> list[Any]:
        """Cosines, float32 (candidates,), of ``mine``; None if embeddings are not needed.

        Args:
            queries: of all ranks, which share the images.
            mine: of this rank.
        """
        if not self.encodes or not queries:
            return [None] * len(mine)
        pairs = np.array([pair for query in queries for pair in pairs_of(query)])
        images, texts = (np.unique(pairs[:, side]) for side in (0, 1))
        embeds = self.encode(images.tolist(), self.captions(texts.tolist()))
        cosines = []
        for query in mine:
            rows = np.array(pairs_of(query))
            i, j = np.searchsorted(images, rows[:, 0]), np.searchsorted(texts, rows[:, 1])
            if query.direction == 'tir':
                cosines.append(embeds.similarity(i, j[:1])[:, 0])
            else:
                cosines.append(embeds.similarity(i[:1], j)[0])
        return cosines

    def score(
        self, queries: Sequence[Query], listed: Sequence[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Matching logits, float32, of the ``listed`` candidates of each query; None = all."""
        listed = listed or [np.arange(len(query.lists.candidates)) for query in queries]
        ends = np.cumsum([len(rows) for rows in listed])
        pairs = np.concatenate(
            [
                np.empty((0, 2), np.int64),
                *(np.array(pairs_of(query))[rows] for query, rows in zip(queries, listed)),
            ]
        )
        if self.rerank is None or not len(pairs):
            return np.split(np.full(len(pairs), np.nan, np.float32), ends[:-1])
        # a pair may be in several lists: both directions, or two draws
        pairs, inverse = np.unique(pairs, axis=0, return_inverse=True)
        rows = np.unique(pairs[:, 1]).tolist()
        texts = dict(zip(rows, self.tokens(self.captions(rows))))
        progress = Progress(len(pairs), self.runner.logger)
        scores = self.scorer.score_rows(pairs, texts, progress)[inverse.reshape(-1)]
        return np.split(scores, ends[:-1])


def pairs_of(query: Query) -> list[tuple[int, int]]:
    """(row of the image, row of the text) for each candidate."""
    row, candidates = query.lists
    if query.direction == 'tir':
        return [(candidate, row) for candidate in candidates]
    return [(row, candidate) for candidate in candidates]
