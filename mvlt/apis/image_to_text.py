"""Words for a picture.

Legend: D size of a vector.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mvlt.apis.retrieval import RetrievalInferencer, Tensors
from mvlt.datasets.inputs import Pictures, list_pictures, to_array
from mvlt.retrieval.encoder import similarity, usual_rows
from mvlt.retrieval.ranking import Order
from mvlt.retrieval.records import Source, read_texts


class ImageToTextRetrievalInferencer(RetrievalInferencer):
    """Words for a picture; see :class:`RetrievalInferencer`.

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
            return self.scorer.score(pairs, [pixels], Tensors(self.texts))

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
