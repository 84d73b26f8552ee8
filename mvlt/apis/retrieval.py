"""Search: pictures for words, words for a picture.

A model that was trained to tell pictures and texts apart by their vectors (head ``itc``) orders by
these alone. For others what is found is ordered by the sum of two log-odds: the matching head's,
and how much likelier than usual the picture makes the words of the text (:mod:`mvlt.retrieval`).
tools/test.py measures every order; what that changes: docs/results/.

Legend: I pictures, J texts, D size of a vector.
"""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit

import mvlt
from mvlt.apis.base import DType, PairInferencer, whole_number
from mvlt.datasets.inputs import Pictures, Texts, list_pictures, list_texts, to_array
from mvlt.files import written_whole
from mvlt.registry import TASK_UTILS
from mvlt.retrieval.cache import CACHE
from mvlt.retrieval.encoder import CAPTIONS, Encoder, encoder_of, similarity, usual_rows
from mvlt.retrieval.ranking import Order, rank, shortlisted
from mvlt.retrieval.records import Records, Source, read_pixels, read_texts
from mvlt.retrieval.scorer import PairScorer
from mvlt.trained.description import ModelDescription
from mvlt.trained.opening import OpenedModel


class _RetrievalInferencer(PairInferencer):
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
        found: list[str] = [name for name in ('itc', 'itm') if name in description.heads]
        if not found:
            raise ValueError(description.lacks("head 'itm' or 'itc'"))
        return found if 'itc' in found or 'mlm' not in description.heads else [*found, 'mlm']

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
        self._encodes = encoder_of(self.model.heads)
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
        matches = 'itm' in self.model.heads
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


class TextToImageRetrievalInferencer(_RetrievalInferencer):
    """Pictures for words; see :class:`PairInferencer` and this module.

    The gallery that it reads is a folder of pictures, a catalogue (CSV or Parquet with its
    pictures), a list of pictures, or a dataset. Pictures that cannot be read are named once and
    never found.

    Examples:
        >>> search = TextToImageRetrievalInferencer('MODEL').read('MY_CATALOGUE/products.csv')
        >>> search('a red shoe', topk=3)[0][0]
        {'index': 17, 'score': 0.99, 'match_score': 0.98, 'img_path': '...', 'caption': '...', ...}
    """

    forward_kwargs: set = {'topk', 'where', 'order'}

    def read(self, gallery: Source) -> 'TextToImageRetrievalInferencer':
        """See the base class."""
        self.records = Records(gallery)
        reading = {
            name: one
            for name, one in self.description.preprocessing.items()
            if one['type'] != 'Tokenize'
        }
        found = read_pixels(self.records, self.pipeline, reading, self.cache_dir, self.track)
        self.pixels, self.readable = found.pixels, found.readable
        self.labels = self.records.labels()
        self.product_of = self.records.products()
        self._rows: np.ndarray | None = None
        distinct = dict.fromkeys(self.records.captions())
        self.encoder = self._encoder(self._tokens(islice(distinct, CAPTIONS)))
        if self.encoder is None:
            return self
        name = f'{found.key}-{self._weights_key()}-{self.encoder.name}.vectors.npy'
        cache = self.cache_dir / name
        if not cache.is_file():
            pictures = (torch.from_numpy(np.array(one)) for one in self.pixels)
            with written_whole(cache) as file:
                np.save(file, self._vectors(pictures, len(self.pixels)))
        self._rows = np.load(cache, allow_pickle=False)
        self._usual = self.encoder.usual(self._rows[self.readable])
        return self

    def __call__(  # type: ignore[override]
        self,
        texts: Texts,
        topk: int = 10,
        where: Mapping[str, str] | None = None,
        order: Order | None = None,
        **kwargs: Any,
    ) -> list[list[dict[str, Any]]]:
        """The best products for each text, best first: each by its picture that is most alike.

        Args:
            texts: one or a list.
            topk: products for each; the shortlist is at least as long.
            where: category or attribute -> name that they must have, e.g.
                dict(main_category='Shoes').
            order: 'vectors' by the encoder alone, the default of a model with a head ``itc``;
                'both', the sum of its and the matching head's log-odds, that of others; 'matching'
                orders the shortlist by the matching head alone, as the paper ranks.
            kwargs: ``show``, ``out_dir``: see :class:`PairInferencer`.

        Returns:
            For each text a list of dicts: ``index`` in the gallery, ``score``, by which they are
            ordered (a probability; by towers the cosine, -1 to 1), ``match_score`` (the matching
            head's, where there is one), and what the gallery knows of ``img_path``, ``caption``,
            ``product_id``, categories and attributes; of a product with several pictures ``views``,
            the places of all of them in the gallery.

        Raises:
            ValueError: an unknown label; a text without a word that the model knows.
        """
        self._need('records')
        queries = list_texts(texts)
        special = set(self.vocabulary.special_ids)
        for query, ids in zip(queries, self._tokens(queries)):
            if special.issuperset(ids.tolist()):
                raise ValueError(f"'{query}' has no word that the model knows: give one at least")
        return self.answer(queries, False, topk=topk, where=where, order=order, **kwargs)

    @torch.no_grad()
    def forward(  # type: ignore[override]
        self,
        inputs: Sequence[str],
        topk: int = 10,
        where: Mapping[str, str] | None = None,
        order: Order | None = None,
    ) -> list[list[dict[str, Any]]]:
        """One query."""
        (token_ids,) = self._tokens(inputs)
        likeness = None
        if self._rows is not None and self.encoder is not None:
            likeness = similarity(self._rows, self._usual, self.encoder.texts([token_ids]))[:, 0]
        allowed = self.readable & self._where(where or {})
        if likeness is not None:
            allowed &= best_views(likeness, allowed, self.product_of)

        def score(entries: np.ndarray) -> np.ndarray:
            pairs = np.stack((entries, np.zeros_like(entries)), 1)
            return self.scorer.score(pairs, _Tensors(self.pixels), [token_ids])

        # without vectors the matching head reads all views; those that are not best go afterwards
        wanted = whole_number('topk', topk) if likeness is not None else len(allowed)
        found: dict[int, dict[str, Any]] = {}
        for entry, scores_of in self._best(likeness, allowed, score, wanted, order):
            product = int(self.product_of[entry])
            if len(found) < topk and product not in found:
                views = np.flatnonzero(self.product_of == product).tolist()
                more = dict(views=views) if len(views) > 1 else {}
                found[product] = dict(self.records[entry], **scores_of, **more)
        return [list(found.values())]

    def _where(self, wanted: Mapping[str, str]) -> np.ndarray:
        allowed = np.ones(len(self.records), dtype=bool)
        for level, name in wanted.items():
            if level not in self.labels:
                raise ValueError(
                    f"where: the gallery has no '{level}'; it has "
                    f'{", ".join(self.labels) or "no labels"}'
                )
            names, numbers = self.labels[level]
            if name not in names:
                raise ValueError(f"where: no {level} is '{name}'; legal: {', '.join(names)}")
            allowed &= numbers == names.index(name)
        return allowed

    def picture(self, index: int) -> np.ndarray:
        """An entry as the model reads it, uint8 (H, W, 3)."""
        return np.ascontiguousarray(self.pixels[index].transpose(1, 2, 0))

    def rows(self, one: str, pred: list[dict[str, Any]]) -> tuple:
        """The text and what was found."""
        from mvlt.visualization.sheet import Cell, Row

        cells = [Cell(self.picture(found['index']), f'{found["score"]:.3f}') for found in pred]
        return (Row('', (Cell(None, one, 'query'), *cells)),)


class ImageToTextRetrievalInferencer(_RetrievalInferencer):
    """Words for a picture; see :class:`PairInferencer` and this module.

    The gallery that it reads is a list of texts, a ``.txt`` file (one a line), a catalogue (CSV or
    Parquet) or a dataset; equal texts are one entry. What words are usual, the encoder learns from
    some pictures of the catalogue, or from a grey one where the gallery has none (an encoder of
    words; towers need none).

    >>> words = ImageToTextRetrievalInferencer('MODEL').read(['a red shoe', 'a bag'])
    >>> words('shoe.jpg', topk=1)
    [[{'index': 0, 'score': 0.99, 'match_score': 0.98, 'caption': 'a red shoe'}]]
    """

    def read(self, gallery: Source) -> 'ImageToTextRetrievalInferencer':
        """See the base class."""
        self.texts = read_texts(
            gallery,
            lambda text: self._tokens([text])[0].tolist(),
            [self.description.preprocessing, self.vocabulary.fingerprint],
            self.cache_dir,
        )
        self._rows: np.ndarray | None = None
        tokens = [self.texts[i] for i in range(len(self.texts))]
        self.encoder = self._encoder(tokens)
        if self.encoder is not None:
            self._rows = self.encoder.texts(tokens)
            pictures = self._some_pictures() if self.encoder.centred else self._rows
            self._usual = self.encoder.usual(pictures)
        return self

    def _some_pictures(self) -> np.ndarray:
        """Vectors (n, D) of some pictures of the gallery, or of a grey one if it has none."""
        pictures = []
        records = self.texts.records
        if records is not None:
            for row in usual_rows(len(records)):
                try:
                    pictures.append(self._pixels(records.read(row)))
                except OSError:
                    continue
        if not pictures:
            pictures.append(self._pixels(np.full((256, 256, 3), 128, np.uint8)))
        return self._vectors(pictures, len(pictures))

    def _pixels(self, image: np.ndarray) -> torch.Tensor:
        """A picture as the model reads it, uint8 (3, H, W)."""
        return self.pipeline(dict(img=image, caption=''))['inputs']['image']

    def __call__(  # type: ignore[override]
        self, images: Pictures, topk: int = 10, order: Order | None = None, **kwargs: Any
    ) -> list[list[dict[str, Any]]]:
        """The best texts for each picture, best first.

        Args:
            images: see :class:`PairInferencer`.
            topk: texts for each; the shortlist is at least as long.
            order: see :class:`TextToImageRetrievalInferencer`.
            kwargs: ``show``, ``out_dir``: see :class:`PairInferencer`.

        Returns:
            For each picture a list of dicts: ``index`` of the first entry with that text, ``score``
            and ``match_score`` as of :class:`TextToImageRetrievalInferencer`, ``caption``, and what
            a catalogue knows of the first product with it.

        Raises:
            OSError, ValueError: a picture cannot be read.
        """
        self._need('texts')
        return self.answer(list_pictures(images), False, topk=topk, order=order, **kwargs)

    @torch.no_grad()
    def forward(  # type: ignore[override]
        self, inputs: Sequence[Any], topk: int = 10, order: Order | None = None
    ) -> list[list[dict[str, Any]]]:
        """One query."""
        pixels = self._pixels(to_array(inputs[0]))
        likeness = None
        if self._rows is not None and self.encoder is not None:
            vectors = self.encoder.images([pixels])
            likeness = similarity(vectors, self._usual, self._rows)[0]

        def score(entries: np.ndarray) -> np.ndarray:
            pairs = np.stack((np.zeros_like(entries), entries), 1)
            return self.scorer.score(pairs, [pixels], _Tensors(self.texts))

        allowed = np.ones(len(self.texts), dtype=bool)
        return [
            [
                dict(self.texts.entry(entry), **scores_of)
                for entry, scores_of in self._best(likeness, allowed, score, topk, order)
            ]
        ]

    def rows(self, one: Any, pred: list[dict[str, Any]]) -> tuple:
        """The picture and what was found."""
        from mvlt.visualization.sheet import Cell, Row

        cells = [Cell(None, f'{found["score"]:.3f} {found["caption"]}') for found in pred]
        return (Row('', (Cell(to_array(one), 'query', 'query'), *cells)),)


def best_views(likeness: np.ndarray, allowed: np.ndarray, product_of: np.ndarray) -> np.ndarray:
    """Of each product the allowed view that is most alike, the first of equals; bool (I,)."""
    entries = np.flatnonzero(allowed)
    order = entries[np.argsort(-likeness[entries], kind='stable')]
    first = np.unique(product_of[order], return_index=True)[1]
    found = np.zeros(len(allowed), dtype=bool)
    found[order[first]] = True
    return found


class _Tensors:
    """Arrays of an indexable, as tensors of their own memory."""

    def __init__(self, arrays: Any) -> None:
        self.arrays = arrays

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(np.array(self.arrays[index]))
