"""Scores every pair that a retrieval protocol asks for."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dist import collect_results, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader, Subset

from mvlt.datasets import CandidateList, draw_candidates
from mvlt.registry import LOOPS

DIRECTIONS = ('tir', 'itr')


class Query(NamedTuple):
    """One list to rank: ``direction`` and the rows that make its pairs."""

    direction: str
    lists: CandidateList


@LOOPS.register_module()
class RetrievalLoop(BaseLoop):
    """Rank 101 candidates for each query, with the matching head alone.

    Each picture that is needed is decoded once; pairs are scored in batches of similar caption
    length; queries are split over ranks and their results gathered once, by the metric.

    Args:
        dataloader: its dataset gives the rows; its batch size and workers decode the pictures.
        evaluator: gets one result a query (:class:`mvlt.evaluation.RetrievalMetric`).
        directions: 'tir' (text query, ranked images), 'itr' (image query, ranked texts).
        num_queries, num_candidates, seed: of :func:`mvlt.datasets.draw_candidates`.
        batch_size: pairs at once.
        amp_dtype: 'bfloat16' or 'float16' scores under autocast; None in float32.
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
        batch_size: int = 256,
        amp_dtype: str | None = None,
    ) -> None:
        super().__init__(runner, dataloader)
        unknown = set(directions) - set(DIRECTIONS)
        if unknown or not directions:
            raise ValueError(f'RetrievalLoop.directions={directions}; legal: {DIRECTIONS}')
        self.evaluator = (
            runner.build_evaluator(evaluator)
            if isinstance(evaluator, dict | list | tuple)
            else evaluator
        )
        self.directions = tuple(directions)
        self.num_queries = num_queries
        self.num_candidates = num_candidates
        self.seed = seed
        self.batch_size = batch_size
        self.amp_dtype = getattr(torch, amp_dtype) if amp_dtype else None
        self.results: list[dict] = []

    def run(self) -> dict[str, float]:
        """Score this rank's share, hand it to the evaluator, return the metrics of all ranks.

        ``results`` then holds a dict a query, of all ranks, on the main process.
        """
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        dataset = self.dataloader.dataset
        lists = draw_candidates(
            [dataset.get_data_info(row) for row in range(len(dataset))],
            self.num_queries,
            self.num_candidates,
            self.seed,
        )
        queries = [Query(direction, one) for direction in self.directions for one in lists]
        mine = queries[get_rank() :: get_world_size()]
        self.results = [
            dict(
                direction=query.direction,
                query=query.lists.query,
                candidates=query.lists.candidates,
                scores=scores,
                positives=np.arange(len(scores)) == 0,
            )
            for query, scores in zip(mine, self.score(mine))
        ]
        self.evaluator.process(data_samples=self.results, data_batch=None)
        metrics = self.evaluator.evaluate(len(queries))
        self.results = collect_results(self.results, len(queries), 'gpu') or []
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def score(self, queries: Sequence[Query]) -> list[np.ndarray]:
        """Matching probabilities, float32 (candidates,) a query."""
        pairs = np.array([pair for query in queries for pair in _pairs(query)])
        images, texts = self._read(np.unique(pairs))
        lengths = np.array([len(texts[text]) for _, text in pairs])
        scores = np.empty(len(pairs), dtype=np.float32)
        started = reported = time.monotonic()
        order = np.argsort(lengths, kind='stable')
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            scores[batch] = self._match(
                torch.stack([images[image] for image in pairs[batch, 0]]),
                [texts[text] for text in pairs[batch, 1]],
            )
            if time.monotonic() - reported > 10:
                reported = time.monotonic()
                done = (start + len(batch)) / len(order)
                self.runner.logger.info(
                    f'retrieval: {start + len(batch)} of {len(order)} pairs scored, '
                    f'{(reported - started) * (1 - done) / done:.0f} s left'
                )
        ends = np.cumsum([len(query.lists.candidates) for query in queries])
        return np.split(scores, ends[:-1])

    def _read(self, rows: np.ndarray) -> tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]]:
        """Pictures, uint8 (3, H, W), and token ids, int64 (T,), of the rows."""
        loader = DataLoader(
            Subset(self.dataloader.dataset, rows.tolist()),
            batch_size=self.dataloader.batch_size,
            num_workers=self.dataloader.num_workers,
            collate_fn=_stack,
        )
        images, texts = {}, {}
        remaining = iter(rows.tolist())
        for pixels, token_ids, lengths in loader:
            # copies: what a worker sends keeps a file open for as long as it lives
            pictures, captions = pixels.clone(), token_ids.clone().split(lengths)
            for picture, caption, row in zip(pictures, captions, remaining):
                images[row], texts[row] = picture, caption
        return images, texts

    @torch.no_grad()
    def _match(self, pixels: torch.Tensor, token_ids: list[torch.Tensor]) -> np.ndarray:
        model: Any = self.runner.model
        model = model.module if is_model_wrapper(model) else model
        preprocessor = model.data_preprocessor
        device = preprocessor.device
        tokens = preprocessor.pad(token_ids).to(device)
        with torch.autocast(device.type, self.amp_dtype, enabled=self.amp_dtype is not None):
            scores = model.match(
                preprocessor.normalise(pixels.to(device)), tokens, preprocessor.text_mask(tokens)
            )
        return scores.cpu().numpy()


def _pairs(query: Query) -> list[tuple[int, int]]:
    """(row of the image, row of the text) for each candidate."""
    row, candidates = query.lists
    if query.direction == 'tir':
        return [(candidate, row) for candidate in candidates]
    return [(row, candidate) for candidate in candidates]


def _stack(samples: list[dict]) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Few large tensors instead of many small ones: they are cheap to send between processes."""
    inputs = [sample['inputs'] for sample in samples]
    token_ids = [one['token_ids'] for one in inputs]
    return (
        torch.stack([one['image'] for one in inputs]),
        torch.cat(token_ids),
        [len(ids) for ids in token_ids],
    )
