"""Ranks records by some of their streams for queries of other streams.

Legend: N records, J distinct candidates, D size of an embedding.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Subset

from mvlt.engine.loops.ranking import RankingLoop, check_finite, result_of, share
from mvlt.registry import LOOPS
from mvlt.retrieval import rank

_SHOWN = 10  # candidates of a query in rankings.json


@LOOPS.register_module()
class StreamRankingLoop(RankingLoop):
    """Ranks all distinct candidates for each record: composed and multi-view search.

    A candidate is right if a record of the query's product has it. Dot products order the
    candidates; ties count against the model. The model has ``embed(inputs, streams)``, float (B, D)
    of the named streams together, as :meth:`mvlt.models.MVLT.embed`.

    Args:
        runner, dataloader, evaluator: as mmengine's TestLoop.
        query_streams: names, e.g. ('reference', 'text'); 'image' and 'text' are the pair's.
        candidate_streams: names, e.g. ('image',).
        direction: of the results; the prefix of the metrics' names.
        amp_dtype: 'bfloat16' or 'float16' embeds under autocast; None in float32.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Any,
        query_streams: Sequence[str],
        candidate_streams: Sequence[str] = ('image',),
        direction: str = 'streams',
        amp_dtype: str | None = None,
    ) -> None:
        super().__init__(runner, dataloader, evaluator, amp_dtype=amp_dtype)
        self.query_streams = tuple(query_streams)
        self.candidate_streams = tuple(candidate_streams)
        self.direction = direction

    @property
    def protocol(self) -> Mapping[str, Any]:
        return dict(
            name='streams',
            query_streams=self.query_streams,
            candidate_streams=self.candidate_streams,
            num_queries=len(self.records),
            num_candidates=len(self._candidates),
            positives='any record of the product',
            ties='against the model',
        )

    def rank(self) -> tuple[list[dict], int, dict[str, float]]:
        """Embed this rank's records, gather, rank this rank's queries."""
        if not self.records:
            return [], 0, {}
        queries, embeds = self._embed()
        rows = np.array([same[0] for same in self._candidates], int)
        right: dict[str, list[int]] = {}  # product -> candidates
        for candidate, same in enumerate(self._candidates):
            for row in same:
                right.setdefault(self.records[row]['product_id'], []).append(candidate)
        everything = np.arange(len(rows))
        results = []
        for query in share(range(len(self.records))):
            scores = embeds[rows] @ queries[query]
            positives = np.zeros(len(rows), bool)
            positives[right[self.records[query]['product_id']]] = True
            ranking = rank(everything, len(rows), scores.__getitem__)
            first, asked = ranking.first(_SHOWN), dict(direction=self.direction, query=query)
            results.append(result_of(ranking, positives, first, rows, **asked))
        return results, len(self.records), {}

    @cached_property
    def _candidates(self) -> list[list[int]]:
        """The records that have each distinct candidate."""
        same: dict[Hashable, list[int]] = {}
        for row, record in enumerate(self.records):
            sources = tuple(_source(record, name) for name in self.candidate_streams)
            same.setdefault(row if None in sources else sources, []).append(row)
        return list(same.values())

    @torch.no_grad()
    def _embed(self) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of all records as queries and as candidates, float32 (N, D) each."""
        model = self.scorer.model
        parts: tuple[list, list] = ([], [])
        for data in self._batches():
            inputs = model.data_preprocessor(data)['inputs']
            for part, streams in zip(parts, (self.query_streams, self.candidate_streams)):
                with self.scorer.autocast():
                    part.append(model.embed(inputs, streams).float().cpu().numpy())
        gathered = all_gather_object([np.concatenate(part) if part else None for part in parts])
        embeds = []
        for which in range(2):
            shares = [each[which] for each in gathered if each[which] is not None]
            whole = np.empty((len(self.records), shares[0].shape[1]), np.float32)
            for number, part in enumerate(shares):
                whole[number :: len(gathered)] = part
            embeds.append(whole)
        check_finite(*embeds)
        return embeds[0], embeds[1]

    def _batches(self) -> Iterator[Any]:
        """Batches of this rank's records, as the data loader makes them."""
        loader: Any = self.dataloader
        mine = Subset(self.dataset, share(range(len(self.records))))
        yield from DataLoader(
            mine,
            loader.batch_size,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            worker_init_fn=loader.worker_init_fn,
        )


def _source(record: Mapping[str, Any], stream: str) -> Hashable:
    """The path or text that identifies a record's stream, or None."""
    keys = {'image': 'img_path', 'text': 'caption'}
    if stream in keys:
        return record.get(keys[stream])
    for kind, key in (('images', 'img_path'), ('texts', 'caption')):
        if stream in record.get(kind, {}):
            source = record[kind][stream]
            source = source.get(key) if isinstance(source, Mapping) else source
            return source if isinstance(source, str) else None
    return None
