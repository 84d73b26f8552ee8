"""What the retrieval protocols share: a loop that hands ranks to the evaluator."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, collect_results, get_rank, get_world_size
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader

from mvlt.mmengine_private import built_loops
from mvlt.registry import TASK_UTILS
from mvlt.retrieval.encoder import encoder_of, similarity
from mvlt.retrieval.ranking import Order, check_order
from mvlt.retrieval.scorer import LOADER


class RankingLoop(BaseLoop):
    """A loop whose results are one dict a query; it serves as ``test_cfg`` and as ``val_cfg``.

    A result has ``direction`` ('tir', 'itr'), ``query`` (row) and its ``product_id``, ``rank``
    (1 = first), ``draw``, of how many candidates (``num_candidates``) how many are right
    (``relevant``), and ``candidates`` (rows) with their ``scores`` and ``positives``; the
    full protocol keeps the first ones only.

    What search offers is measured by the same settings here: ``order`` and ``shortlist`` are those
    of :class:`mvlt.apis.TextToImageRetrievalInferencer`.

    Args:
        runner, dataloader, evaluator: as mmengine's TestLoop.
        order: what candidates are ordered by (:mod:`mvlt.retrieval.ranking`); scores are log-odds
            of a match, or their sum with the encoder's similarity, or that alone.
        shortlist: K: the encoder's K best of a query are ranked, all others behind; None = all.
        encoder: settings of what ``order`` and ``shortlist`` need, e.g. dict(type='WordEncoder');
            without a type :class:`mvlt.retrieval.TowerEncoder` where the model has a head ``itc``.
        scorer: settings of what gives log-odds.
        batch_size: pairs at once.
        amp_dtype: 'bfloat16' or 'float16' scores under autocast; None in float32.

    Raises:
        ValueError: an unknown order, a shortlist below 1, a setting of the loader that reading
            pictures has no use for.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Any,
        order: Order = 'matching',
        shortlist: int | None = None,
        encoder: dict | None = None,
        scorer: dict | None = None,
        batch_size: int = 256,
        amp_dtype: str | None = None,
    ) -> None:
        unused = set(dataloader) - LOADER if isinstance(dataloader, dict) else None
        if unused:
            raise ValueError(
                f'{", ".join(sorted(unused))} of the data loader: retrieval reads single pictures '
                f'and makes its own batches; legal: {", ".join(sorted(LOADER))}'
            )
        super().__init__(runner, dataloader)
        check_order(order, encoder=True)
        if shortlist is not None and shortlist < 1:
            raise ValueError(f'shortlist={shortlist}: a positive number, or None for all')
        self.evaluator = (
            runner.build_evaluator(evaluator)
            if isinstance(evaluator, dict | list | tuple)
            else evaluator
        )
        self.order = order
        self.shortlist = shortlist
        self._encoder = encoder
        self.amp_dtype = amp_dtype
        self.scorer = TASK_UTILS.build(
            dict(
                scorer or dict(type='PairScorer'),
                model=runner.model,
                dataloader=self.dataloader,
                batch_size=batch_size,
                amp_dtype=amp_dtype,
            )
        )
        self.results: list[dict] = []

    @property
    @abstractmethod
    def protocol(self) -> Mapping[str, Any]:
        """What a reader must know to compare the figures."""

    @abstractmethod
    def rank(self) -> tuple[list[dict], int, dict[str, float]]:
        """This rank's share of the results, the number of all, and further metrics."""

    @property
    def mode(self) -> str:
        """'val' while a training validates, else 'test'."""
        return 'val' if self is built_loops(self.runner).get('val') else 'test'

    @property
    def dataset(self) -> Any:
        """What is ranked."""
        return self.dataloader.dataset

    @cached_property
    def records(self) -> list[dict]:
        """All of them."""
        return [self.dataset.get_data_info(row) for row in range(len(self.dataset))]

    def run(self) -> dict[str, float]:
        """Rank, let the evaluator count, return the metrics of all ranks.

        ``results`` then holds those of all ranks, on the main process.
        """
        mode = self.mode
        self.runner.call_hook(f'before_{mode}')
        self.runner.call_hook(f'before_{mode}_epoch')
        self.runner.model.eval()
        results, total, more = self.rank()
        self.evaluator.process(data_samples=results, data_batch=None)
        metrics = {**self.evaluator.evaluate(total), **more}
        self.results = collect_results(results, total, 'gpu') or []
        for one in self.results:
            one['product_id'] = self.records[one['query']]['product_id']
        self.runner.call_hook(f'after_{mode}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{mode}')
        return metrics

    @property
    def encodes(self) -> bool:
        """Whether an encoder is needed."""
        return self.order != 'matching' or self.shortlist is not None

    def tokens(self, rows: Sequence[int]) -> list[torch.Tensor]:
        """Token ids, int64 (T,), of the captions of some rows."""
        tokenize = self.dataset.pipeline.tokenize()
        captions = [self.records[row]['caption'] for row in rows]
        return [
            torch.from_numpy(tokenize.transform(dict(caption=caption))['token_ids'])
            for caption in captions
        ]

    def encode(self, images: Sequence[int], texts: Sequence[torch.Tensor]) -> 'Vectors':
        """Vectors of the pictures of rows and of captions; ranks share the pictures."""
        tokenize = self.dataset.pipeline.tokenize()
        settings = dict(self._encoder or {})
        settings['type'] = settings.get('type') or encoder_of(self.scorer.model) or 'WordEncoder'
        encoder = TASK_UTILS.build(
            dict(settings, scorer=self.scorer, vocabulary=tokenize.vocabulary, captions=texts)
        )
        rank, world = get_rank(), get_world_size()
        own = encoder.images(image for image, _ in self.scorer.read(images[rank::world]))
        pictures = np.empty((len(images), own.shape[1]), np.float32)
        for other, part in enumerate(all_gather_object(own)):
            pictures[other::world] = part
        vectors = Vectors(pictures, encoder.texts(texts), encoder.usual(pictures))
        check_finite(vectors.images, vectors.texts)
        return vectors


def check_finite(*arrays: np.ndarray) -> None:
    """Refuse embeddings that are no numbers: any order of them is an accident.

    Raises:
        ValueError: one is infinite or not a number.
    """
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(
            'an embedding is not a number: the model has diverged; test an earlier checkpoint, or '
            'train again with a lower learning rate'
        )


class Vectors:
    """Of pictures and texts, (I, D) and (J, D), and what is usual, (D,)."""

    def __init__(self, images: np.ndarray, texts: np.ndarray, usual: np.ndarray) -> None:
        self.images = images
        self.texts = texts
        self.usual = usual

    def similarity(self, images: Any, texts: Any) -> np.ndarray:
        """Of some of them, float32 (i, j)."""
        return similarity(self.images[images], self.usual, self.texts[texts])


def share(items: Sequence) -> list:
    """This rank's part of a list that every rank has."""
    return list(items[get_rank() :: get_world_size()])
