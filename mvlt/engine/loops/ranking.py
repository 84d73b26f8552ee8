"""The base of the retrieval loops: it hands ranks to the evaluator."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dist import all_gather_object, collect_results, get_rank, get_world_size
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader

from mvlt.config import labels_of
from mvlt.engine.splits import captions_of_split
from mvlt.evaluation.analysis import analyse
from mvlt.evaluation.functional import average_precision
from mvlt.mmengine_private import built_loops
from mvlt.registry import TASK_UTILS
from mvlt.retrieval.encoder import similarity
from mvlt.retrieval.ranking import Ranking, Rerank, check_rerank
from mvlt.retrieval.scorer import LOADER


class RankingLoop(BaseLoop):
    """A loop for ``test_cfg`` or ``val_cfg`` whose results are a dict per query.

    A result has ``direction`` ('tir', 'itr'), ``query`` (row) and its ``product_id``, ``rank``
    (1 = first), ``average_precision`` (0 to 1), ``draw``, ``num_candidates``, the ``right`` ones
    (rows) and their number (``relevant``), and ``candidates`` (rows) with their ``scores`` and
    ``positives``. The full protocol keeps only the first candidates. :class:`mvlt.apis.Search`
    ranks by the same code.

    Args:
        runner, dataloader, evaluator: as mmengine's TestLoop.
        rerank: scores that order the candidates (:mod:`mvlt.retrieval.ranking`): 'itm', matching
            logits; None, cosines; 'sum', both.
        rerank_topk: K: rank only the K most similar candidates of a query; None = all.
        encoder: settings of :class:`mvlt.retrieval.Encoder`, e.g. dict(mirrored=True).
        scorer: settings of the scorer of matching logits.
        batch_size: pairs at once.
        amp_dtype: 'bfloat16' or 'float16' scores under autocast; None in float32.
        analysis: also give what :func:`mvlt.evaluation.analyse` finds in the results, and
            ``tir/typo/R@1`` of queries with a typing error (:func:`with_typo`), under 'analysis/'.

    Raises:
        ValueError: an unknown ``rerank``, a ``rerank_topk`` below 1, an unused setting of the data
            loader.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Any,
        rerank: Rerank | None = 'itm',
        rerank_topk: int | None = None,
        encoder: dict | None = None,
        scorer: dict | None = None,
        batch_size: int = 256,
        amp_dtype: str | None = None,
        analysis: bool = False,
    ) -> None:
        unused = set(dataloader) - LOADER if isinstance(dataloader, dict) else None
        if unused:
            raise ValueError(
                f'{", ".join(sorted(unused))} of the data loader: retrieval reads single images '
                f'and makes its own batches; legal: {", ".join(sorted(LOADER))}'
            )
        super().__init__(runner, dataloader)
        check_rerank(rerank, embeds=True)
        if rerank_topk is not None and rerank_topk < 1:
            raise ValueError(f'rerank_topk={rerank_topk}; give a positive number, or None for all')
        self.evaluator = (
            runner.build_evaluator(evaluator)
            if isinstance(evaluator, dict | list | tuple)
            else evaluator
        )
        self.rerank = rerank
        self.rerank_topk = rerank_topk
        self._encoder = encoder
        self.amp_dtype = amp_dtype
        self.analysis = analysis
        self._typos = False
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
        """Settings and counts that readers need to compare metrics."""

    @abstractmethod
    def rank(self) -> tuple[list[dict], int, dict[str, float]]:
        """This rank's results, the number of all results, and further metrics."""

    @property
    def mode(self) -> str:
        """'val' while a training validates, else 'test'."""
        return 'val' if self is built_loops(self.runner).get('val') else 'test'

    @property
    def dataset(self) -> Any:
        """The ranked dataset."""
        return self.dataloader.dataset

    @cached_property
    def records(self) -> list[dict]:
        """All records of the dataset."""
        return [self.dataset.get_data_info(row) for row in range(len(self.dataset))]

    def run(self) -> dict[str, float]:
        """Rank and evaluate; gather ``results`` on the main process."""
        mode = self.mode
        self.runner.call_hook(f'before_{mode}')
        self.runner.call_hook(f'before_{mode}_epoch')
        self.runner.model.eval()
        trained = captions_of_split(self.runner.cfg, 'train') if self.analysis else None
        results, total, more = self.rank()
        self.evaluator.process(data_samples=results, data_batch=None)
        metrics = {**self.evaluator.evaluate(total), **more}
        self.results = collect_results(results, total, 'gpu') or []
        if self.analysis:
            metrics |= self._analyse(trained)
        for result in self.results:
            result['product_id'] = self.records[result['query']]['product_id']
        self.runner.call_hook(f'after_{mode}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{mode}')
        return metrics

    @property
    def galleries(self) -> dict[str, Sequence[int]]:
        """Direction -> ranked rows, if all queries of a direction rank the same."""
        return {}

    def _analyse(self, trained: Sequence[str] | None) -> dict[str, float]:
        """Metrics of :func:`mvlt.evaluation.analyse`; {} on other ranks than the main one."""
        self._typos = True
        mine, total, _ = self.rank()
        self._typos = False
        with_typos: list[dict] = collect_results(mine, total, 'gpu') or []
        if not self.results:
            return {}
        labels = [name for name in labels_of(self.dataset.metainfo) if name in self.records[0]]
        metrics = analyse(self.results, self.records, self.galleries, labels, trained)
        hits = [result['rank'] == 1 for result in with_typos if result['direction'] == 'tir']
        if hits:
            metrics['tir/typo/R@1'] = 100 * float(np.mean(hits))
        return {f'analysis/{name}': value for name, value in metrics.items()}

    @property
    def encodes(self) -> bool:
        """Whether embeddings are needed."""
        return self.rerank != 'itm' or self.rerank_topk is not None

    @property
    def logit_scale(self) -> float:
        """The factor of cosines in ``rerank='sum'``."""
        if self.rerank != 'sum':
            return 1.0
        return self.scorer.model.head_that('embedding').scale.item()

    def captions(self, rows: Sequence[int]) -> list[str]:
        """The captions of some rows; with typing errors while queries with them are ranked."""
        captions = [self.records[row]['caption'] for row in rows]
        return [*map(with_typo, captions)] if self._typos else captions

    def tokens(self, captions: Sequence[str]) -> list[torch.Tensor]:
        """Token ids, int64 (T,), of each caption."""
        tokenize = self.dataset.pipeline.tokenize()
        return [
            torch.from_numpy(tokenize.transform(dict(caption=caption))['token_ids'])
            for caption in captions
        ]

    def encode(self, images: Sequence[int], captions: Sequence[str]) -> 'Embeds':
        """Embeddings of the images of rows and of captions; ranks share the images."""
        tokenizer = self.dataset.pipeline.tokenize().tokenizer
        settings = {'type': 'Encoder', **(self._encoder or {})}
        encoder = TASK_UTILS.build(dict(settings, scorer=self.scorer, tokenizer=tokenizer))
        rank, world = get_rank(), get_world_size()
        mine = encoder.images(image for image, _ in self.scorer.read(images[rank::world]))
        image_embeds = np.empty((len(images), mine.shape[1]), np.float32)
        for other, part in enumerate(all_gather_object(mine)):
            image_embeds[other::world] = part
        embeds = Embeds(image_embeds, encoder.texts(self.tokens(captions)))
        check_finite(*embeds)
        return embeds


def with_typo(caption: str) -> str:
    """The caption with two neighbouring letters of its longest word swapped, as fingers do.

    Example:
        'Nike Men Running Shoes' -> 'Nike Men Runinng Shoes'.
    """
    words = caption.split()
    index = max(range(len(words)), key=lambda i: len(words[i]), default=0)
    word = words[index] if words else ''
    swaps = [i for i in range(len(word) - 1) if word[i] != word[i + 1]]
    if swaps:
        i = min(swaps, key=lambda swap: abs(swap - len(word) // 2))
        words[index] = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    return ' '.join(words)


def check_finite(*arrays: np.ndarray) -> None:
    """Raise ValueError if an embedding is infinite or NaN."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(
            'an embedding is not a number: the model has diverged; test an earlier checkpoint, or '
            'train again with a lower learning rate'
        )


def result_of(
    ranking: Ranking,
    positives: np.ndarray,
    shown: np.ndarray,
    rows: Sequence[int] | np.ndarray,
    **query: Any,
) -> dict[str, Any]:
    """The result of a query; ``query`` are its direction, row and further entries.

    Args:
        positives: bool (n,), the right candidates.
        shown: the candidates to list, int (m,).
        rows: of all candidates, (n,).
    """
    return dict(
        **query,
        rank=ranking.rank_of(positives),
        average_precision=average_precision(ranking.scores, positives),
        right=[int(rows[i]) for i in np.flatnonzero(positives).tolist()],
        relevant=int(positives.sum()),
        num_candidates=len(positives),
        candidates=[int(rows[i]) for i in shown],
        scores=ranking.scores[shown].astype(np.float32),
        positives=positives[shown],
    )


class Embeds(NamedTuple):
    """Embeddings of images and texts, float32 (I, D) and (J, D) of length 1."""

    images: np.ndarray
    texts: np.ndarray

    def similarity(self, images: Any, texts: Any) -> np.ndarray:
        """Cosines of the indexed images and texts, float32 (i, j)."""
        return similarity(self.images[images], self.texts[texts])


def share(items: Sequence) -> list:
    """This rank's part of a list that all ranks have."""
    return list(items[get_rank() :: get_world_size()])
