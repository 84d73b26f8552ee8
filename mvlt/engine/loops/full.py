"""Ranks every picture of a split for every caption, and the other way round.

Legend: I distinct pictures, J distinct captions, b pictures of a shard.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, barrier, broadcast_object_list, is_main_process
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mvlt.engine.loops.ranking import Embeds, RankingLoop, share
from mvlt.files import written_whole
from mvlt.registry import LOOPS
from mvlt.retrieval.gallery import Gallery, make_gallery
from mvlt.retrieval.ranking import Ranking, rank, rerank_candidates
from mvlt.retrieval.scorer import Progress

_SHOWN = 10  # first answers that rankings.json keeps of each query, and the best positive
_ENTRIES = 32_000_000  # of a matrix that is in memory at once


@LOOPS.register_module()
class FullRankingLoop(RankingLoop):
    """The full protocol: all pictures x all captions, both directions.

    Distinct pictures are ranked for each distinct caption (TIR), distinct captions for each picture
    (ITR); any view of the product counts, and any of its captions, five of them in COCO. Ties count
    against the model.

    Scores are written in shards of whole pictures below ``<work_dir>/scores/``, each whole or not
    at all. Ranks share the shards between them, so every picture is decoded once (once more for the
    encoder); a run that was stopped finds its shards and goes on. The folder's name is a hash
    of weights, data and preprocessing: another checkpoint never meets old scores.

    Args:
        dataloader: its dataset gives the rows; its batch size and workers decode the pictures.
        evaluator: gets one result a query (:class:`mvlt.evaluation.RetrievalMetric`).
        rerank_topk: see :class:`RankingLoop`. For each direction ``rerank_recall`` says for how
            many queries, in percent, a positive is on the list, and ``recall_lost_at_most`` for how
            many some positive is not: the other queries rank as the exact ranking has them, or
            better.
        merge_captions: equal captions are one query and one candidate, and any product that has
            it counts; False: see :func:`mvlt.retrieval.gallery.make_gallery`.
        shard_pairs: about so many pairs a shard.
        kwargs: rerank, encoder, scorer, batch_size, amp_dtype: see :class:`RankingLoop`.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Any,
        merge_captions: bool = True,
        shard_pairs: int = 65536,
        **kwargs: Any,
    ) -> None:
        super().__init__(runner, dataloader, evaluator, **kwargs)
        self.merge_captions = merge_captions
        self.shard_pairs = shard_pairs

    @cached_property
    def gallery(self) -> Gallery:
        """What is ranked."""
        return make_gallery(self.records, self.merge_captions)

    @property
    def protocol(self) -> dict[str, Any]:
        """Counts, and what counts."""
        images, texts = len(self.gallery.images), len(self.gallery.texts)
        return dict(
            name=self._name(),
            num_queries=dict(tir=texts, itr=images),
            num_candidates=dict(tir=images, itr=texts),
            pairs=images * texts,
            rerank=self.rerank,
            rerank_topk=self.rerank_topk,
            positives=(
                'any picture of any product with the caption; any caption of the product'
                if self.merge_captions
                else 'any picture of the product; any caption of the product'
            ),
            ties='against the model',
        )

    def _name(self) -> str:
        names = {'itm': 'full', 'sum': 'full by sum', None: 'full by embeddings'}
        name = names[self.rerank]
        return name if self.rerank_topk is None else f'{name}, {self.rerank_topk} best reranked'

    def rank(self) -> tuple[list[dict], int, dict[str, float]]:
        """Score what no shard holds yet, then read all shards."""
        gallery = self.gallery
        if not gallery.images:
            return [], 0, {}
        texts = self.tokens(gallery.texts)
        embeds = self.encode(gallery.images, texts) if self.encodes else None
        lists: dict[str, list[np.ndarray]] = {}
        if embeds is not None and self.rerank_topk is not None:
            for direction in ('tir', 'itr'):
                lists[direction] = self._rerank_lists(embeds, direction)
        asked = _asked(lists, len(texts))
        # file times may differ between machines: the main process names the folder for all
        name = [self._fingerprint(texts, asked) if is_main_process() else '']
        broadcast_object_list(name)
        folder = Path(self.runner.work_dir) / 'scores' / name[0]
        if self.rerank is not None:
            self._score(folder, texts, asked)
        barrier()
        results = [
            *self._results(folder, embeds, lists, 'itr'),
            *self._results(folder, embeds, lists, 'tir'),
        ]
        total = len(gallery.images) + len(texts)
        barrier()
        if self.mode == 'val' and is_main_process():  # of weights that are gone in a moment
            shutil.rmtree(folder, ignore_errors=True)
        return results, total, _rerank_recall(gallery, lists) if lists else {}

    def _rerank_lists(self, embeds: Embeds, direction: str) -> list[np.ndarray]:
        """What the matching head reads of each query, int; ranks share the queries."""
        own = {
            query: rerank_candidates(np.ones(len(one), bool), one, self.rerank_topk)
            for block in self._query_blocks(direction)
            for query, one in zip(block, _similarity(embeds, direction, block))
        }
        found = {query: one for part in all_gather_object(own) for query, one in part.items()}
        return [found[query] for query in range(len(found))]

    def _query_blocks(self, direction: str) -> list[list[int]]:
        """This rank's queries, in blocks whose matrix fits into memory."""
        images, texts = len(self.gallery.images), len(self.gallery.texts)
        own = share(range(images + texts))  # pictures first
        if direction == 'tir':
            own, candidates = [query - images for query in own if query >= images], images
        else:
            own, candidates = [query for query in own if query < images], texts
        size = max(1, _ENTRIES // candidates)
        return [own[start : start + size] for start in range(0, len(own), size)]

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """First and last + 1 picture of each shard."""
        size = max(1, self.shard_pairs // len(self.gallery.texts))
        images = len(self.gallery.images)
        return [(start, min(start + size, images)) for start in range(0, images, size)]

    def _score(self, folder: Path, texts: list[torch.Tensor], asked: np.ndarray | None) -> None:
        """Write shards; ``asked`` are the pairs, image x J + text, sorted; None = all."""
        folder.mkdir(parents=True, exist_ok=True)
        # which rank makes a shard must not depend on what another rank has made meanwhile
        own = share(self.blocks)
        mine = [block for block in own if not _is_whole(folder, block, len(texts))]
        self.runner.logger.info(
            f'retrieval: {len(own)} shards of scores here, {len(mine)} of them to be made, '
            f'in {folder}'
        )
        rows = [row for start, stop in mine for row in self.gallery.images[start:stop]]
        pictures = self.scorer.read(rows)
        wanted = [_pairs_of(block, asked, len(texts)) for block in mine]
        progress = Progress(sum(map(len, wanted)), self.runner.logger)
        for (start, stop), pairs in zip(mine, wanted):
            images = [next(pictures)[0] for _ in range(start, stop)]
            scores = np.full((stop - start, len(texts)), -np.inf, dtype=np.float32)
            if len(pairs):
                places = np.stack(np.divmod(pairs, len(texts)), 1) - (start, 0)
                scores[places[:, 0], places[:, 1]] = self.scorer.score(
                    places, images, texts, progress
                )
            _write_shard(folder, (start, stop), scores)

    def _fingerprint(self, texts: list[torch.Tensor], asked: np.ndarray | None = None) -> str:
        """Hash of all that decides the scores; of pictures, their files' sizes and times."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.scorer.model.state_dict().items()):
            values = tensor.detach().cpu().contiguous()
            digest.update(f'{name}{tuple(values.shape)}{values.dtype}'.encode())
            digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
        dataset = self.dataset
        settings: list[Any] = [
            'log-odds',
            type(self.scorer).__name__,
            self.amp_dtype,
            self.scorer.batch_size,
            self.blocks[0],
            self.runner.cfg.get('model'),
            self.runner.cfg[f'{self.mode}_dataloader'].dataset,
        ]
        if asked is not None:
            digest.update(asked.tobytes())
        for setting in settings:
            digest.update(f'{setting}\x1e'.encode())
        for row in self.gallery.images:
            record = self.records[row]
            found = os.stat(record.get('img_path') or record.get('file', dataset.ann_file))
            digest.update(f'{row} {found.st_size} {found.st_mtime_ns}\x1e'.encode())
        for step in dataset.pipeline.transforms:
            for path in getattr(step, 'files', ()):
                found = os.stat(path)
                digest.update(f'{path} {found.st_size} {found.st_mtime_ns}\x1e'.encode())
        for text in texts:
            digest.update(f'{text.tolist()}\x1e'.encode())
        return digest.hexdigest()[:16]

    def _results(
        self,
        folder: Path,
        embeds: Embeds | None,
        lists: dict[str, list[np.ndarray]],
        direction: str,
    ) -> Iterator[dict]:
        """Of this rank's queries: ITR reads rows of the matrix of scores, TIR columns."""
        gallery, tir = self.gallery, direction == 'tir'
        queries, candidates = (
            (gallery.texts, gallery.images) if tir else (gallery.images, gallery.texts)
        )
        positives_of = gallery.images_of if tir else gallery.texts_of
        everything, logit_scale = np.arange(len(candidates)), self.logit_scale
        for block in self._query_blocks(direction):
            scores: Any = [None] * len(block)
            if self.rerank is not None:
                scores = self._matrix(folder, direction, block)
            similarity: Any = [None] * len(block)
            if embeds is not None:
                similarity = _similarity(embeds, direction, block)
            for query, own, one in zip(block, scores, similarity):
                chosen = lists[direction][query] if lists else everything
                score = None if own is None else own.__getitem__
                found = rank(chosen, len(candidates), score, one, self.rerank, logit_scale)
                positives = np.zeros(len(candidates), dtype=bool)
                positives[positives_of[query]] = True
                shown = _shown(found, positives_of[query])
                yield dict(
                    direction=direction,
                    query=queries[query],
                    rank=found.rank_of(positives),
                    relevant=len(positives_of[query]),
                    num_candidates=len(candidates),
                    candidates=[candidates[place] for place in shown],
                    scores=found.scores[shown].astype(np.float32),
                    positives=positives[shown],
                )

    def _matrix(self, folder: Path, direction: str, block: Sequence[int]) -> np.ndarray:
        """Scores of some queries, float32 (queries, candidates)."""
        if direction == 'tir':
            shards = (read_shard(folder, one, lazily=True) for one in self.blocks)
            return np.concatenate([shard[:, block] for shard in shards]).T
        size = self.blocks[0][1]
        shards_of = sorted({image // size for image in block})
        rows = {
            image: row
            for number in shards_of
            for image, row in enumerate(
                read_shard(folder, self.blocks[number]), self.blocks[number][0]
            )
        }
        return np.stack([rows[image] for image in block])


def _similarity(embeds: Embeds, direction: str, block: Sequence[int]) -> np.ndarray:
    """Cosines of some queries, float32 (queries, candidates)."""
    if direction == 'tir':
        return embeds.similarity(slice(None), list(block)).T
    return embeds.similarity(list(block), slice(None))


def _asked(lists: dict[str, list[np.ndarray]], texts: int) -> np.ndarray | None:
    """Pairs on a list of either direction, image x J + text, sorted; None = all."""
    if not lists:
        return None
    tir = [images * texts + text for text, images in enumerate(lists['tir'])]
    itr = [image * texts + own for image, own in enumerate(lists['itr'])]
    return np.unique(np.concatenate([*tir, *itr]))


def _pairs_of(block: tuple[int, int], asked: np.ndarray | None, texts: int) -> np.ndarray:
    """Those of the pictures of a shard."""
    first, last = (picture * texts for picture in block)
    if asked is None:
        return np.arange(first, last)
    return asked[np.searchsorted(asked, first) : np.searchsorted(asked, last)]


def _shown(found: Ranking, positives: np.ndarray) -> np.ndarray:
    """The first answers, and the best positive, if it is ranked at all."""
    first = found.first(_SHOWN)
    best = positives[found.scores[positives].argmax()]
    if best in first or not np.isfinite(found.scores[best]):
        return first
    return np.append(first, best)


def _rerank_recall(gallery: Gallery, lists: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """Percent of queries with a positive on their list, and with one that is not."""
    found = {}
    for direction, own in (('tir', gallery.images_of), ('itr', gallery.texts_of)):
        listed = [np.isin(one, some) for one, some in zip(own, lists[direction])]
        some, whole = (np.mean([test(one) for one in listed]) for test in (np.any, np.all))
        found[f'retrieval/{direction}/rerank_recall'] = 100 * float(some)
        found[f'retrieval/{direction}/recall_lost_at_most'] = 100 * float(1 - whole)
    return found


def _shard(folder: Path, block: tuple[int, int]) -> Path:
    return folder / f'{block[0]:07d}_{block[1]:07d}.npy'


def _write_shard(folder: Path, block: tuple[int, int], scores: np.ndarray) -> None:
    with written_whole(_shard(folder, block)) as file:
        np.save(file, scores)


def read_shard(folder: Path, block: tuple[int, int], lazily: bool = False) -> np.ndarray:
    """Scores, float32 (b, J); ``lazily``: mapped from the disk."""
    path = _shard(folder, block)
    try:
        return np.load(path, mmap_mode='r' if lazily else None, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f'{path}: not a readable shard of scores ({error}); delete it') from error


def _is_whole(folder: Path, block: tuple[int, int], texts: int) -> bool:
    try:
        return read_shard(folder, block).shape == (block[1] - block[0], texts)
    except (OSError, ValueError, EOFError):
        return False
