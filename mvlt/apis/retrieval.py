"""What search in both directions shares: two steps, vectors and the matching head.

A model that was trained to tell pictures and texts apart by their vectors (head ``itc``) orders by
these alone. For others what is found is ordered by the sum of two log-odds: the matching head's,
and how much likelier than usual the picture makes the words of the text (:mod:`mvlt.retrieval`).
tools/test.py measures every order; what that changes: docs/results/.

Legend: D size of a vector.
"""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit

import mvlt
from mvlt.apis.base import DType, PairInferencer, whole_number
from mvlt.checkpoints.description import ModelDescription
from mvlt.checkpoints.opening import OpenedModel
from mvlt.registry import TASK_UTILS
from mvlt.retrieval.cache import CACHE
from mvlt.retrieval.encoder import Encoder, encoder_of
from mvlt.retrieval.ranking import Order, rank, shortlisted
from mvlt.retrieval.records import Source
from mvlt.retrieval.scorer import PairScorer


class RetrievalInferencer(PairInferencer):
    """Two steps: vectors choose ``shortlist`` entries, these or the matching head order them.

    Args:
        model, weights, device, dtype, show_progress, batch_size: see :class:`PairInferencer`.
        shortlist: entries that the matching head scores for a query; None = all of them, exactly
            and slowly. A model with neither head ``itc`` nor ``mlm`` always scores all.
        cache_dir: where what is read is kept, found by its content; None = ``~/.cache/mvlt``.

    Raises:
        FileNotFoundError, ValueError: no such model, or it has neither head ``itc`` nor ``itm``.
    """

    forward_kwargs: set = {'topk', 'order'}
    preprocess_kwargs: set = set()
    encoder: Encoder | None

    @classmethod
    def heads_of(cls, description: ModelDescription) -> list[str]:
        """The matching head and the one that the encoder needs, those that are there."""
        names = [*description.that_give('embedding'), *description.that_give('match')]
        if not names:
            raise ValueError(description.lacks('head that gives embeddings (itc) or a match (itm)'))
        if description.that_give('embedding'):
            return names
        return [*names, *description.that_give('words')]

    def __init__(
        self,
        model: str | Path | OpenedModel,
        weights: str | None = None,
        device: str | None = None,
        dtype: DType = 'float32',
        show_progress: bool = True,
        batch_size: int = 64,
        shortlist: int | None = 300,
        cache_dir: str | Path | None = None,
    ) -> None:
        super().__init__(model, weights, device, dtype, show_progress, batch_size)
        if shortlist is not None:
            whole_number('shortlist', shortlist)
        self._encodes = encoder_of(self.model)
        self.shortlist = shortlist if self._encodes else None
        self.cache_dir = Path(cache_dir or CACHE)
        self.scorer = PairScorer(
            self.model, None, batch_size, None if dtype == 'float32' else dtype
        )

    def _encoder(self, captions: Sequence[Any]) -> Encoder | None:
        """The model's, for a gallery with these captions."""
        if self._encodes is None:
            return None
        arguments = dict(scorer=self.scorer, vocabulary=self.vocabulary, captions=captions)
        return TASK_UTILS.build(dict(arguments, type=self._encodes))

    @abstractmethod
    def read(self, gallery: Source) -> Any:
        """Read what is searched in, once, and give this inferencer back.

        Raises:
            FileNotFoundError, KeyError, OSError, ValueError: no such gallery, nothing readable in
                it, a wrong row.
        """

    def _vectors(self, pictures: Iterable[torch.Tensor], count: int) -> np.ndarray:
        """Of pictures, float32 (count, D)."""
        assert self.encoder is not None
        batches = -(-count // self.scorer.batch_size)
        found = iter(pictures)
        return np.concatenate(
            [
                self.encoder.images(islice(found, self.scorer.batch_size))
                for _ in self.track(range(batches), batches)
            ]
        )

    def _weights_key(self) -> str:
        """Hash of model, precision and version: vectors of another one are other vectors."""
        settings = [self.description.model, str(self.dtype), mvlt.__version__]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for key, value in sorted(self.model.state_dict().items()):
            digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _tokens(self, texts: Iterable[str]) -> list[torch.Tensor]:
        length = self.pipeline.tokenize().max_len
        return [torch.tensor(self.vocabulary.encode(text, length)) for text in texts]

    def _need(self, name: str) -> None:
        if not hasattr(self, name):
            raise ValueError(f'{type(self).__name__}: nothing to search in; read(GALLERY) first')

    def preprocess(self, inputs: Sequence[Any], batch_size: int = 1) -> Any:  # type: ignore[override]
        """One query at a time: ``batch_size`` is that of pictures and pairs."""
        return ([one] for one in inputs)

    def _best(
        self,
        likeness: np.ndarray | None,
        allowed: np.ndarray,
        score: Callable[[np.ndarray], np.ndarray],
        topk: int,
        order: Order | None,
    ) -> Iterator[tuple[int, dict[str, float]]]:
        """Best entries, with ``score`` and, of a model with a matching head, ``match_score``.

        Args:
            likeness: the encoder's similarity of each entry; None = there is no encoder.
            allowed: bool, which entries may be found.
            score: entries int (n,) -> log-odds (n,).
            topk: how many are wanted.
            order: what they are ordered by; None = :attr:`usual_order`.
        """
        whole_number('topk', topk)
        matches = self.model.gives('match')
        order = order or self.usual_order
        if order != 'vectors' and not matches:
            raise ValueError(f"order='{order}': this model has no head itm; legal: 'vectors'")
        length = None if self.shortlist is None else max(self.shortlist, topk)
        chosen = shortlisted(allowed, likeness, length)
        found = rank(chosen, len(allowed), score if matches else None, likeness, order)
        first = found.first(topk)
        merits = found.merits[first]
        scores, log_odds = expit(merits), found.log_odds[first]
        if order == 'vectors':
            assert self.encoder is not None  # or rank() had refused
            scores = self.encoder.shown(merits)
            log_odds = score(first) if matches and len(first) else log_odds
        for entry, shown, odds in zip(first.tolist(), scores, log_odds):
            match = dict(match_score=float(expit(np.float64(odds)))) if matches else {}
            yield entry, dict(score=float(shown), **match)

    @property
    def usual_order(self) -> Order:
        """'vectors' of a model with towers, else 'both'; 'matching' where there is no encoder."""
        if self._encodes is None:
            return 'matching'
        return 'vectors' if self._encodes == 'TowerEncoder' else 'both'

    def plain(self, pred: Any) -> Any:
        """As they are."""
        return pred


class Tensors:
    """Arrays of an indexable, as tensors of their own memory."""

    def __init__(self, arrays: Any) -> None:
        self.arrays = arrays

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(np.array(self.arrays[index]))
