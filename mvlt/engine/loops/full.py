"""Ranks every picture of a split for every caption, and the other way round.

Legend: I distinct pictures, J distinct captions, b pictures of a shard.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mvlt.datasets.transforms import Tokenize
from mvlt.engine.loops.ranking import RankingLoop, share
from mvlt.evaluation.functional import pessimistic_rank
from mvlt.files import written_whole
from mvlt.registry import LOOPS
from mvlt.retrieval.encoder import shortlist
from mvlt.retrieval.gallery import Gallery, make_gallery
from mvlt.retrieval.scorer import Progress

_SHOWN = 10  # first answers that rankings.json keeps of each query, and the best positive


@LOOPS.register_module()
class FullRankingLoop(RankingLoop):
    """The full protocol: all pictures x all captions, both directions.

    Distinct pictures are ranked for each distinct caption (TIR), distinct captions for each picture
    (ITR); any view of the product counts, and any of its captions, five of them in COCO. Ties count
    against the model.

    Scores are written in shards of whole pictures below ``<work_dir>/scores/``, each whole or not
    at all. Ranks share the shards between them, so every picture is decoded once (once more for the
    cheap scorer); a run that was stopped finds its shards and goes on. The folder's name is a hash
    of weights, data and preprocessing: another checkpoint never meets old scores.

    Args:
        dataloader: its dataset gives the rows; its batch size and workers decode the pictures.
        evaluator: gets one result a query (:class:`mvlt.evaluation.RetrievalMetric`).
        rerank: K: exact scores only for the K best of the cheap scorer of
            :func:`mvlt.retrieval.encoder.shortlist`, all others behind them; None = all exact. For
            each direction ``shortlist_recall`` then says for how many queries, in percent, a
            positive is on the list, and ``recall_lost_at_most`` for how many some positive is not:
            the other queries rank as the exact ranking has them, or better.
        merge_captions: equal captions are one query and one candidate, and any product that has
            it counts; False: see :func:`mvlt.retrieval.gallery.make_gallery`.
        shard_pairs: about so many pairs a shard.
        batch_size, amp_dtype: see :class:`RankingLoop`.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Any,
        rerank: int | None = None,
        merge_captions: bool = True,
        shard_pairs: int = 65536,
        batch_size: int = 256,
        amp_dtype: str | None = None,
    ) -> None:
        super().__init__(runner, dataloader, evaluator, batch_size, amp_dtype)
        if rerank is not None and rerank < 1:
            raise ValueError(f'FullRankingLoop.rerank={rerank}: a positive number, or None')
        self.rerank = rerank
        self.merge_captions = merge_captions
        self.shard_pairs = shard_pairs
        self.amp_dtype = amp_dtype
        self._gallery: Gallery | None = None

    @property
    def gallery(self) -> Gallery:
        """What is ranked."""
        if self._gallery is None:
            dataset = self.dataloader.dataset
            records = [dataset.get_data_info(i) for i in range(len(dataset))]
            self._gallery = make_gallery(records, self.merge_captions)
        return self._gallery

    @property
    def protocol(self) -> dict[str, Any]:
        """Counts, and what counts."""
        images, texts = len(self.gallery.images), len(self.gallery.texts)
        return dict(
            name='full' if self.rerank is None else f'full, {self.rerank} best reranked',
            num_queries=dict(tir=texts, itr=images),
            num_candidates=dict(tir=images, itr=texts),
            pairs=images * texts,
            rerank=self.rerank,
            positives=(
                'any picture of any product with the caption; any caption of the product'
                if self.merge_captions
                else 'any picture of the product; any caption of the product'
            ),
            ties='against the model',
        )

    def rank(self) -> tuple[list[dict], int, dict[str, float]]:
        """Score what no shard holds yet, then read all shards."""
        gallery = self.gallery
        texts = self._texts()
        wanted, more = None, {}
        if self.rerank is not None:
            wanted = shortlist(self.scorer, gallery, texts, self.rerank, self._vocabulary())
            more = _shortlist_recall(gallery, wanted)
        # file times may differ between machines: the main process names the folder for all
        name = [self._fingerprint(texts) if is_main_process() else '']
        broadcast_object_list(name)
        folder = Path(self.runner.work_dir) / 'scores' / name[0]
        self._score(folder, texts, wanted)
        barrier()
        results = [*_rank_images(gallery, folder, self.blocks), *self._rank_texts(folder)]
        return share(results), len(results), more

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """First and last + 1 picture of each shard."""
        size = max(1, self.shard_pairs // len(self.gallery.texts))
        images = len(self.gallery.images)
        return [(start, min(start + size, images)) for start in range(0, images, size)]

    def _score(self, folder: Path, texts: list[torch.Tensor], wanted: np.ndarray | None) -> None:
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
        sizes = [
            (stop - start) * len(texts) if wanted is None else int(wanted[start:stop].sum())
            for start, stop in mine
        ]
        progress = Progress(sum(sizes), self.runner.logger)
        for start, stop in mine:
            images = [next(pictures)[0] for _ in range(start, stop)]
            asked = np.ones((stop - start, len(texts)), dtype=bool)
            if wanted is not None:
                asked = wanted[start:stop]
            pairs = np.argwhere(asked)
            scores = np.full(asked.shape, -np.inf, dtype=np.float32)
            if len(pairs):
                scores[asked] = self.scorer.score(pairs, images, texts, progress)
            _write_shard(folder, (start, stop), scores)

    def _texts(self) -> list[torch.Tensor]:
        """Token ids, int64 (T,), of every distinct caption."""
        dataset, tokenize = self.dataloader.dataset, self._tokenize()
        captions = [dataset.get_data_info(row)['caption'] for row in self.gallery.texts]
        return [
            torch.from_numpy(tokenize.transform(dict(caption=caption))['token_ids'])
            for caption in captions
        ]

    def _tokenize(self) -> Tokenize:
        return self.dataloader.dataset.pipeline.tokenize()

    def _vocabulary(self) -> Any:
        return self._tokenize().vocabulary

    def _fingerprint(self, texts: list[torch.Tensor]) -> str:
        """Hash of all that decides the scores; of pictures, their files' sizes and times."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.scorer.model.state_dict().items()):
            values = tensor.detach().cpu().contiguous()
            digest.update(f'{name}{tuple(values.shape)}{values.dtype}'.encode())
            digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
        dataset = self.dataloader.dataset
        settings: list[Any] = [
            'log-odds',
            self.rerank,
            self.amp_dtype,
            self.scorer.batch_size,
            self.blocks[0],
            self.runner.cfg.get('model'),
            self.runner.cfg.test_dataloader.dataset,
        ]
        for setting in settings:
            digest.update(f'{setting}\x1e'.encode())
        for row in self.gallery.images:
            path = dataset.get_data_info(row).get('img_path', dataset.ann_file)
            found = os.stat(path)
            digest.update(f'{row} {found.st_size} {found.st_mtime_ns}\x1e'.encode())
        for text in texts:
            digest.update(f'{text.tolist()}\x1e'.encode())
        return digest.hexdigest()[:16]

    def _rank_texts(self, folder: Path) -> Iterator[dict]:
        """TIR: a pass over the shards for the best positive, another for what ranks before it."""
        gallery = self.gallery
        texts = len(gallery.texts)
        best = np.full(texts, -np.inf, dtype=np.float32)
        best_image = np.array([images[0] for images in gallery.images_of])
        top_scores = np.empty((0, texts), dtype=np.float32)
        top_images = np.empty((0, texts), dtype=np.int64)
        for block in self.blocks:
            scores, positives = read_shard(folder, block), gallery.positives(*block)
            own = np.where(positives, scores, -np.inf)
            better = own.max(0) > best
            best_image = np.where(better, own.argmax(0) + block[0], best_image)
            best = np.maximum(best, own.max(0))
            images = np.broadcast_to(np.arange(*block)[:, None], scores.shape)
            top_scores = np.concatenate((top_scores, scores))
            top_images = np.concatenate((top_images, images))
            order = np.argsort(-top_scores, axis=0, kind='stable')[:_SHOWN]
            top_scores = np.take_along_axis(top_scores, order, 0)
            top_images = np.take_along_axis(top_images, order, 0)
        before = np.zeros(texts, dtype=np.int64)
        for block in self.blocks:
            scores, positives = read_shard(folder, block), gallery.positives(*block)
            before += ((scores >= best) & ~positives).sum(0)
        for text, row in enumerate(gallery.texts):
            shown = top_images[np.isfinite(top_scores[:, text]), text]
            found = dict(zip(shown.tolist(), top_scores[:, text].tolist()))
            if np.isfinite(best[text]):
                found.setdefault(int(best_image[text]), float(best[text]))
            yield dict(
                direction='tir',
                query=row,
                rank=int(before[text]) + 1,
                candidates=[gallery.images[image] for image in found],
                scores=list(found.values()),
                positives=[image in gallery.images_of[text] for image in found],
            )


def _rank_images(gallery: Gallery, folder: Path, blocks: list[tuple[int, int]]) -> Iterator[dict]:
    """ITR: a shard holds all scores of its pictures."""
    for block in blocks:
        scores, positives = read_shard(folder, block), gallery.positives(*block)
        for place, image in enumerate(range(*block)):
            top = np.argsort(-scores[place], kind='stable')[:_SHOWN].tolist()
            own = gallery.texts_of[image]
            top = dict.fromkeys([*top, int(own[scores[place][own].argmax()])])
            shown = [text for text in top if np.isfinite(scores[place][text])]
            yield dict(
                direction='itr',
                query=gallery.images[image],
                rank=pessimistic_rank(scores[place], positives[place]),
                candidates=[gallery.texts[text] for text in shown],
                scores=scores[place][shown],
                positives=positives[place][shown],
            )


def _shortlist_recall(gallery: Gallery, wanted: np.ndarray) -> dict[str, float]:
    """Percent of queries with a positive on their list, and with one that is not."""
    listed = dict(
        tir=[wanted[images, text] for text, images in enumerate(gallery.images_of)],
        itr=[wanted[image, texts] for image, texts in enumerate(gallery.texts_of)],
    )
    found = {}
    for direction, queries in listed.items():
        some, whole = (np.mean([test(one) for one in queries]) for test in (np.any, np.all))
        found[f'retrieval/{direction}/shortlist_recall'] = 100 * float(some)
        found[f'retrieval/{direction}/recall_lost_at_most'] = 100 * float(1 - whole)
    return found


def _shard(folder: Path, block: tuple[int, int]) -> Path:
    return folder / f'{block[0]:07d}_{block[1]:07d}.npy'


def _write_shard(folder: Path, block: tuple[int, int], scores: np.ndarray) -> None:
    with written_whole(_shard(folder, block)) as file:
        np.save(file, scores)


def read_shard(folder: Path, block: tuple[int, int]) -> np.ndarray:
    """Scores, float32 (b, J)."""
    path = _shard(folder, block)
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f'{path}: not a readable shard of scores ({error}); delete it') from error


def _is_whole(folder: Path, block: tuple[int, int], texts: int) -> bool:
    try:
        return read_shard(folder, block).shape == (block[1] - block[0], texts)
    except (OSError, ValueError, EOFError):
        return False
