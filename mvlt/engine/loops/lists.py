"""Ranks short candidate lists: the protocols 101 and 101 x 5."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mvlt.datasets import CandidateList, draw_candidates
from mvlt.datasets.candidate_files import DIRECTIONS, Draw, read_candidates
from mvlt.engine.loops.ranking import RankingLoop, share
from mvlt.evaluation.functional import pessimistic_rank
from mvlt.files import file_sha256
from mvlt.registry import LOOPS
from mvlt.retrieval.scorer import Progress


class Query(NamedTuple):
    """One list to rank: ``direction``, the rows that make its pairs, and the draw it is of."""

    direction: str
    lists: CandidateList
    draw: int = 0


@LOOPS.register_module()
class RetrievalLoop(RankingLoop):
    """Rank 101 candidates for each query, with the matching head alone.

    Each picture that is needed is decoded once; queries are split over ranks and their results
    gathered once, by the metric. Batches are made of a rank's own pairs: in float32 one process and
    many rank alike, in bfloat16 nearly so.

    Args:
        dataloader: its dataset gives the rows; its batch size and workers decode the pictures.
        evaluator: gets one result a query (:class:`mvlt.evaluation.RetrievalMetric`).
        directions: 'tir' (text query, ranked images), 'itr' (image query, ranked texts).
        num_queries, num_candidates, seed: of :func:`mvlt.datasets.draw_candidates`.
        products: ids to ask for, in the place of ``num_queries`` drawn ones.
        draws: so many draws, with the seeds seed, seed + 1, ...; 5 is FashionViL's protocol.
        candidates: a file of lists (:mod:`mvlt.datasets.candidate_files`) instead of a draw; the
            five arguments before are then not read.
        batch_size, amp_dtype: see :class:`RankingLoop`.
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
        batch_size: int = 256,
        amp_dtype: str | None = None,
    ) -> None:
        super().__init__(runner, dataloader, evaluator, batch_size, amp_dtype)
        unknown = set(directions) - set(DIRECTIONS)
        if unknown or not directions:
            raise ValueError(f'RetrievalLoop.directions={directions}; legal: {DIRECTIONS}')
        if draws < 1:
            raise ValueError(f'RetrievalLoop.draws={draws}: one at least is needed')
        self.directions = tuple(directions)
        self.num_queries = num_queries
        self.num_candidates = num_candidates
        self.seed = seed
        self.products = products
        self.draws = draws
        self.candidates = candidates
        self._lists: list[Draw] | None = None

    @property
    def protocol(self) -> dict[str, Any]:
        """Where the lists come from, and how many there are of which length."""
        directions = [name for name in self.directions if any(draw[name] for draw in self.lists)]
        lists = [one for draw in self.lists for name in directions for one in draw[name]]
        lengths = sorted({len(one.candidates) for one in lists})
        drawn = dict(seeds=list(range(self.seed, self.seed + self.draws)))
        return dict(
            name=f'{lengths[-1]}' + (f' x {len(self.lists)}' if len(self.lists) > 1 else ''),
            directions=directions,
            num_queries={name: len(self.lists[0][name]) for name in directions},
            num_candidates=lengths[0] if len(lengths) == 1 else lengths,
            draws=len(self.lists),
            **(self._source() if self.candidates else drawn),
            ties='against the model',
        )

    def _source(self) -> dict[str, Any]:
        path = str(self.candidates)
        return dict(candidates=path, candidates_sha256=file_sha256(path))

    @property
    def lists(self) -> list[Draw]:
        """The lists of every draw, as rows of the dataset."""
        if self._lists is None:
            dataset = self.dataloader.dataset
            records = [dataset.get_data_info(row) for row in range(len(dataset))]
            if self.candidates:
                self._lists = read_candidates(self.candidates, records)
            else:
                self._lists = [
                    dict.fromkeys(
                        DIRECTIONS,
                        draw_candidates(
                            records, self.num_queries, self.num_candidates, seed, self.products
                        ),
                    )
                    for seed in range(self.seed, self.seed + self.draws)
                ]
        return self._lists

    def rank(self) -> tuple[list[dict], int, dict[str, float]]:
        """Score this rank's queries."""
        queries = [
            Query(direction, one, number)
            for number, draw in enumerate(self.lists)
            for direction in self.directions
            for one in draw[direction]
        ]
        mine = share(queries)
        results = []
        for query, scores in zip(mine, self.score(mine)):
            positives = np.arange(len(scores)) == 0
            results.append(
                dict(
                    direction=query.direction,
                    draw=query.draw,
                    query=query.lists.query,
                    rank=pessimistic_rank(scores, positives),
                    candidates=query.lists.candidates,
                    scores=scores,
                    positives=positives,
                )
            )
        return results, len(queries), {}

    def score(self, queries: Sequence[Query]) -> list[np.ndarray]:
        """Log-odds of a match, float32 (candidates,) a query."""
        pairs = np.array([pair for query in queries for pair in _pairs(query)])
        # a pair may be in several lists: both directions, or two draws
        pairs, place = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
        rows = np.unique(pairs).tolist()
        images: dict[int, torch.Tensor] = {}
        texts: dict[int, torch.Tensor] = {}
        for row, (image, text) in zip(rows, self.scorer.read(rows)):
            images[row], texts[row] = image, text
        progress = Progress(len(pairs), self.runner.logger)
        scores = self.scorer.score(pairs, images, texts, progress)[place.reshape(-1)]
        ends = np.cumsum([len(query.lists.candidates) for query in queries])
        return np.split(scores, ends[:-1])


def _pairs(query: Query) -> list[tuple[int, int]]:
    """(row of the image, row of the text) for each candidate."""
    row, candidates = query.lists
    if query.direction == 'tir':
        return [(candidate, row) for candidate in candidates]
    return [(row, candidate) for candidate in candidates]
