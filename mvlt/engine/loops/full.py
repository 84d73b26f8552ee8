"""Ranks all images of a split for each caption, and all captions for each image.

Legend: I distinct images, J distinct captions, b images of a shard.
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

from mvlt.engine.loops.ranking import Embeds, RankingLoop, result_of, share
from mvlt.files import written_whole
from mvlt.registry import LOOPS
from mvlt.retrieval.gallery import Gallery, make_gallery
from mvlt.retrieval.ranking import Ranking, rank, rerank_candidates
from mvlt.retrieval.scorer import Progress

_SHOWN = 10  # candidates of a query in rankings.json, besides the best positive
_ENTRIES = 32_000_000  # of a matrix in memory


@LOOPS.register_module()
class FullRankingLoop(RankingLoop):
    """The full protocol: all images x all captions, both directions.

    Distinct images are ranked for each distinct caption (TIR), distinct captions for each image
    (ITR). Any view and any caption of the product counts; COCO has five captions per image. Ties
    count against the model.

    Scores are written in shards of images to ``<work_dir>/scores/<hash>/``; the hash is over
    weights, data and preprocessing. Ranks share the shards, so each image is decoded once (once
    more for the encoder). A stopped run resumes with its shards.

    Args:
        dataloader: its dataset gives the rows; its batch size and workers decode the images.
        evaluator: gets a result per query (:class:`mvlt.evaluation.RetrievalMetric`).
        rerank_topk: see :class:`RankingLoop`. Per direction, ``rerank_recall`` is the percentage
            of queries with a positive among the K, ``recall_lost_at_most`` that of queries with a
            positive outside: the other queries rank at least as well as exactly.
        merge_captions: equal captions are a single query and candidate, and any product with it
            counts; False: see :func:`mvlt.retrieval.gallery.make_gallery`.
        shard_pairs: pairs of a shard, about.
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
        """Distinct images and captions, and which match."""
        return make_gallery(self.records, self.merge_captions)

    @property
    def protocol(self) -> dict[str, Any]:
        images, texts = len(self.gallery.images), len(self.gallery.texts)
        return dict(
            name=self._name(),
            num_queries=dict(tir=texts, itr=images),
            num_candidates=dict(tir=images, itr=texts),
            pairs=images * texts,
            rerank=self.rerank,
            rerank_topk=self.rerank_topk,
            positives=(
                'any image of any product with the caption; any caption of the product'
                if self.merge_captions
                else 'any image of the product; any caption of the product'
            ),
            ties='against the model',
        )

    def _name(self) -> str:
        names = {'itm': 'full', 'sum': 'full by sum', None: 'full by embeddings'}
        name = names[self.rerank]
        return name if self.rerank_topk is None else f'{name}, {self.rerank_topk} best reranked'

    @property
    def galleries(self) -> dict[str, Sequence[int]]:
        return dict(tir=self.gallery.images, itr=self.gallery.texts)

    def rank(self) -> tuple[list[dict], int, dict[str, float]]:
        """Score the missing shards, then rank from all shards."""
        gallery = self.gallery
        if not gallery.images:
            return [], 0, {}
        captions = self.captions(gallery.texts)
        embeds = self.encode(gallery.images, captions) if self.encodes else None
        lists: dict[str, list[np.ndarray]] = {}
        if embeds is not None and self.rerank_topk is not None:
            for direction in ('tir', 'itr'):
                lists[direction] = self._rerank_lists(embeds, direction)
        folder = Path(self.runner.work_dir) / 'scores'
        if self.rerank is not None:
            texts, listed = self.tokens(captions), _listed_pairs(lists, len(captions))
            # file times may differ between machines: the main process names the folder
            name = [self._fingerprint(texts, listed) if is_main_process() else '']
            broadcast_object_list(name)
            folder /= name[0]
            self._score(folder, texts, listed)
        barrier()
        results = [
            *self._results(folder, embeds, lists, 'itr'),
            *self._results(folder, embeds, lists, 'tir'),
        ]
        total = len(gallery.images) + len(captions)
        barrier()
        scored = self.rerank is not None
        if (
            scored and self.mode == 'val' and is_main_process()
        ):  # the next validation has other weights
            shutil.rmtree(folder, ignore_errors=True)
        return results, total, _rerank_recall(gallery, lists) if lists else {}

    def _rerank_lists(self, embeds: Embeds, direction: str) -> list[np.ndarray]:
        """Each query's candidates for the matching head, int; ranks share the queries."""
        mine = {
            query: rerank_candidates(np.ones(len(row), bool), row, self.rerank_topk)
            for block in self._query_blocks(direction)
            for query, row in zip(block, _similarity(embeds, direction, block))
        }
        lists = {query: rows for part in all_gather_object(mine) for query, rows in part.items()}
        return [lists[query] for query in range(len(lists))]

    def _query_blocks(self, direction: str) -> list[list[int]]:
        """This rank's queries, in blocks whose matrix fits into memory."""
        images, texts = len(self.gallery.images), len(self.gallery.texts)
        mine = share(range(images + texts))  # images first
        if direction == 'tir':
            mine, candidates = [query - images for query in mine if query >= images], images
        else:
            mine, candidates = [query for query in mine if query < images], texts
        size = max(1, _ENTRIES // candidates)
        return [mine[start : start + size] for start in range(0, len(mine), size)]

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """First and last + 1 image of each shard."""
        size = max(1, self.shard_pairs // len(self.gallery.texts))
        images = len(self.gallery.images)
        return [(start, min(start + size, images)) for start in range(0, images, size)]

    def _score(self, folder: Path, texts: list[torch.Tensor], listed: np.ndarray | None) -> None:
        """Write shards; ``listed`` are the pairs, image x J + text, sorted; None = all."""
        folder.mkdir(parents=True, exist_ok=True)
        # share first: other ranks may be writing shards
        mine = share(self.blocks)
        missing = [block for block in mine if not _is_whole(folder, block, len(texts))]
        self.runner.logger.info(
            f'retrieval: {len(mine)} shards of scores here, {len(missing)} to compute, in {folder}'
        )
        rows = [row for start, stop in missing for row in self.gallery.images[start:stop]]
        pixels = self.scorer.read(rows)
        pairs_of_shards = [_pairs_of(block, listed, len(texts)) for block in missing]
        progress = Progress(sum(map(len, pairs_of_shards)), self.runner.logger)
        for (start, stop), pairs in zip(missing, pairs_of_shards):
            images = [next(pixels)[0] for _ in range(start, stop)]
            scores = np.full((stop - start, len(texts)), -np.inf, dtype=np.float32)
            if len(pairs):
                pairs = np.stack(np.divmod(pairs, len(texts)), 1) - (start, 0)
                scores[pairs[:, 0], pairs[:, 1]] = self.scorer.score(pairs, images, texts, progress)
            with written_whole(_shard(folder, (start, stop))) as file:
                np.save(file, scores)

    def _fingerprint(self, texts: list[torch.Tensor], listed: np.ndarray | None = None) -> str:
        """Hash of all that decides the scores; of image files, their sizes and times."""
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
        if listed is not None:
            digest.update(listed.tobytes())
        for setting in settings:
            digest.update(f'{setting}\x1e'.encode())
        files: list[tuple[Any, str]] = []
        for row in self.gallery.images:
            record = self.records[row]
            files.append((row, record.get('img_path') or record.get('file', dataset.ann_file)))
        for step in dataset.pipeline.transforms:
            files += [(path, path) for path in getattr(step, 'files', ())]
        for key, path in files:
            stat = os.stat(path)
            digest.update(f'{key} {stat.st_size} {stat.st_mtime_ns}\x1e'.encode())
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
        """Results of this rank's queries: ITR ranks rows of the score matrix, TIR columns."""
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
            for query, itm_logits, cosines in zip(block, scores, similarity):
                listed = lists[direction][query] if lists else everything
                match = None if itm_logits is None else itm_logits.__getitem__
                ranking = rank(listed, len(candidates), match, cosines, self.rerank, logit_scale)
                positives = np.zeros(len(candidates), dtype=bool)
                positives[positives_of[query]] = True
                shown, row = _shown(ranking, positives_of[query]), queries[query]
                yield result_of(
                    ranking, positives, shown, candidates, direction=direction, query=row
                )

    def _matrix(self, folder: Path, direction: str, block: Sequence[int]) -> np.ndarray:
        """Scores of some queries, float32 (queries, candidates)."""
        if direction == 'tir':
            shards = (read_shard(folder, images, lazily=True) for images in self.blocks)
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


def _listed_pairs(lists: dict[str, list[np.ndarray]], texts: int) -> np.ndarray | None:
    """Pairs on a list of either direction, image x J + text, sorted; None = all."""
    if not lists:
        return None
    tir = [images * texts + text for text, images in enumerate(lists['tir'])]
    itr = [image * texts + listed for image, listed in enumerate(lists['itr'])]
    return np.unique(np.concatenate([*tir, *itr]))


def _pairs_of(block: tuple[int, int], listed: np.ndarray | None, texts: int) -> np.ndarray:
    """The listed pairs of a shard's images."""
    first, last = (image * texts for image in block)
    if listed is None:
        return np.arange(first, last)
    return listed[np.searchsorted(listed, first) : np.searchsorted(listed, last)]


def _shown(ranking: Ranking, positives: np.ndarray) -> np.ndarray:
    """The first candidates, ties against positives, and the best positive if it is ranked."""
    scores = ranking.scores
    bound = np.partition(scores, -_SHOWN)[-_SHOWN] if len(scores) > _SHOWN else -np.inf
    listed = np.flatnonzero((scores >= bound) & (scores > -np.inf))
    right = np.isin(listed, positives)
    first = listed[np.lexsort((right, -scores[listed]))][:_SHOWN]
    best = positives[scores[positives].argmax()]
    if best in first or not np.isfinite(scores[best]):
        return first
    return np.append(first, best)


def _rerank_recall(gallery: Gallery, lists: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """Percent of queries with a positive on their list, and with a positive that is not."""
    recall = {}
    for direction, positives in (('tir', gallery.images_of), ('itr', gallery.texts_of)):
        listed = [np.isin(rows, some) for rows, some in zip(positives, lists[direction])]
        some, all_ = (np.mean([test(row) for row in listed]) for test in (np.any, np.all))
        recall[f'retrieval/{direction}/rerank_recall'] = 100 * float(some)
        recall[f'retrieval/{direction}/recall_lost_at_most'] = 100 * float(1 - all_)
    return recall


def _shard(folder: Path, block: tuple[int, int]) -> Path:
    return folder / f'{block[0]:07d}_{block[1]:07d}.npy'


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
