"""Embed images and texts with a published model.

Legend: D size of an embedding.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from mmengine.device import get_device

from mvlt.checkpoints.description import ModelDescription
from mvlt.checkpoints.loading import OpenedModel, open_model
from mvlt.datasets import PackPairInputs, Pipeline
from mvlt.datasets.inputs import Texts, list_texts
from mvlt.retrieval.encoder import Encoder
from mvlt.retrieval.scorer import PairScorer


class Embedder:
    """A published model with its preprocessing, tokenizer and matching head, if any.

    Args: see :class:`mvlt.retrieval.search.Search`.
    """

    def __init__(
        self,
        model: str | Path | OpenedModel,
        texts: bool = False,
        device: str | None = None,
        dtype: Literal['float32', 'bfloat16'] = 'float32',
        batch_size: int = 64,
    ) -> None:
        if isinstance(model, OpenedModel):
            opened = model.only(heads_of(model.description))
        else:
            opened = open_model(str(model), None, device or get_device(), heads_of)
        self.description = opened.description
        self.tokenizer = opened.tokenizer
        self.pipeline = Pipeline({**opened.transforms, 'pack': PackPairInputs()})
        self.scorer = PairScorer(
            opened.model, None, batch_size, None if dtype == 'float32' else dtype
        )
        self.encoder: Encoder | None = None
        if opened.model.gives('embedding'):
            self.encoder = Encoder(self.scorer, opened.tokenizer)
        self.matches = opened.model.gives('match')
        self.fingerprint = _fingerprint(opened, texts, dtype)

    def tokens(self, texts: Iterable[str]) -> list[torch.Tensor]:
        """Token ids, int64 (T,) each."""
        length = self.pipeline.tokenize().max_length
        return [torch.tensor(self.tokenizer.encode(text, length)) for text in texts]

    def pixels(self, image: np.ndarray) -> torch.Tensor:
        """The model's input for an image, uint8 (3, S, S)."""
        return self.pipeline(dict(img=image, caption=''))['inputs']['image']

    def text_embeds(self, texts: Texts) -> np.ndarray:
        """Embeddings float32 (n, D) of length 1; ValueError for a text without a known word."""
        listed = list_texts(texts)
        token_ids = self.tokens(listed)
        special = {*self.tokenizer.special_ids}
        for text, ids in zip(listed, token_ids):
            if special.issuperset(ids.tolist()):
                raise ValueError(f"'{text:.60}' has no word that the model knows: add a word")
        return self.embed_texts(token_ids)

    def embed_texts(self, token_ids: Sequence[torch.Tensor]) -> np.ndarray:
        """Int64 (T,) each -> float32 (n, D) of length 1."""
        if self.encoder is None:  # all embeddings are equal: the matching head decides
            return np.ones((len(token_ids), 1), np.float32)
        return self.encoder.texts(token_ids)

    def embed_images(self, pixels: Sequence[torch.Tensor]) -> np.ndarray:
        """Uint8 (3, S, S) each, of :meth:`pixels` -> float32 (n, D) of length 1."""
        if self.encoder is None:
            return np.ones((len(pixels), 1), np.float32)
        return self.encoder.images(pixels)


def heads_of(description: ModelDescription) -> list[str]:
    """Names of the embedding and matching heads; ValueError if the model has neither."""
    heads = description.that_give('embedding', 'match')
    if not heads:
        raise ValueError(description.lacks('head that gives embeddings (itc) or a match (itm)'))
    return heads


def _fingerprint(opened: OpenedModel, texts: bool, dtype: str) -> str:
    """Hash of preprocessing, precision and weights, on which the stored embeddings depend."""
    digest = hashlib.sha256()
    steps = {n: s for n, s in opened.description.preprocessing.items() if texts or n != 'tokenize'}
    digest.update(json.dumps([steps, dtype], sort_keys=True).encode())
    if texts:
        digest.update(opened.tokenizer.fingerprint.encode())
    parts = ('backbone.', *(f'heads.{name}.' for name in opened.description.that_give('embedding')))
    for name, value in sorted(opened.model.state_dict().items()):
        if name.startswith(parts):
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
