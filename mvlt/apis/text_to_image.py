"""Pictures for words.

Legend: I pictures, D size of a vector.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch

from mvlt.apis.base import whole_number
from mvlt.apis.retrieval import RetrievalInferencer, Tensors
from mvlt.datasets.inputs import Texts, list_texts
from mvlt.files import written_whole
from mvlt.retrieval.encoder import CAPTIONS, similarity
from mvlt.retrieval.ranking import Order
from mvlt.retrieval.records import Records, Source, read_pixels


class TextToImageRetrievalInferencer(RetrievalInferencer):
    """Pictures for words; see :class:`RetrievalInferencer`.

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
            return self.scorer.score(pairs, Tensors(self.pixels), [token_ids])

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


def best_views(likeness: np.ndarray, allowed: np.ndarray, product_of: np.ndarray) -> np.ndarray:
    """Of each product the allowed view that is most alike, the first of equals; bool (I,)."""
    entries = np.flatnonzero(allowed)
    order = entries[np.argsort(-likeness[entries], kind='stable')]
    first = np.unique(product_of[order], return_index=True)[1]
    found = np.zeros(len(allowed), dtype=bool)
    found[order[first]] = True
    return found
