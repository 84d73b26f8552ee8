"""Embeddings of images and texts: I + J model runs instead of I x J.

Legend: I images, J texts, D size of an embedding.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from mmengine.device import get_device

from mvlt.checkpoints.description import ModelDescription
from mvlt.checkpoints.loading import OpenedModel, open_model
from mvlt.datasets import PackPairInputs, Pipeline
from mvlt.datasets.tokenizer import CaptionTokenizer
from mvlt.deadline import check
from mvlt.registry import TASK_UTILS
from mvlt.retrieval.scorer import PairScorer


@TASK_UTILS.register_module()
class Encoder:
    """Embeds images and texts separately, to length 1.

    Args:
        scorer: model (with an embedding head), batch size and precision.
        tokenizer: tells the special tokens.
        mirrored: average each image's embedding with that of its mirror image.

    Raises:
        ValueError: the model has no embedding head.
    """

    def __init__(
        self, scorer: PairScorer, tokenizer: CaptionTokenizer, mirrored: bool = False
    ) -> None:
        self.scorer = scorer
        self.tokenizer = tokenizer
        self.logit_scale = scorer.model.head_that('embedding').scale.item()
        self.mirrored = mirrored

    @torch.no_grad()
    def images(self, images: Iterable[torch.Tensor]) -> np.ndarray:
        """Uint8 (3, H, W) each -> float32 (I, D)."""
        model, scorer = self.scorer.model, self.scorer
        embeds: list[torch.Tensor] = []
        images = iter(images)
        while batch := list(islice(images, scorer.batch_size)):
            check()
            preprocessor = model.data_preprocessor
            image = preprocessor.normalise(preprocessor.cast_data(torch.stack(batch)))
            with scorer.autocast():
                embed = model.image_embeds(image)
                if self.mirrored:
                    both = embed + model.image_embeds(image.flip(3))
                    embed = torch.nn.functional.normalize(both, dim=-1)
            embeds.append(embed.cpu())
        return torch.cat(embeds).numpy() if embeds else np.empty((0, 0), np.float32)

    @torch.no_grad()
    def texts(self, token_ids: Sequence[torch.Tensor | np.ndarray]) -> np.ndarray:
        """Int64 (T,) each -> float32 (J, D); zeros for a text without a known word."""
        model, special = self.scorer.model, self.tokenizer.special_ids
        preprocessor = model.data_preprocessor
        lengths = np.array([len(ids) for ids in token_ids])
        order = np.argsort(lengths, kind='stable')
        embeds: np.ndarray | None = None
        for start in range(0, len(order), self.scorer.batch_size):
            check()
            rows = order[start : start + self.scorer.batch_size]
            batch = [torch.as_tensor(np.asarray(token_ids[row])) for row in rows]
            with self.scorer.autocast():
                embed = model.text_embeds(*preprocessor.captions(batch)).cpu().numpy()
            has_word = np.array([not np.isin(ids, special).all() for ids in batch])
            if embeds is None:
                embeds = np.zeros((len(order), embed.shape[1]), np.float32)
            embeds[rows] = embed * has_word[:, None]
        return np.empty((0, 0), np.float32) if embeds is None else embeds


def similarity(image_embeds: np.ndarray, text_embeds: np.ndarray) -> np.ndarray:
    """Cosines, float32 (I, J), of (I, D) and (J, D); minus infinity for a text of zeros."""
    cosines = image_embeds @ text_embeds.T
    cosines[:, ~text_embeds.any(1)] = -np.inf
    return cosines


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
        self._max_length = self.pipeline.tokenize().max_length
        self._image_shape: torch.Size | None = None
        self.scorer = PairScorer(
            opened.model, None, batch_size, None if dtype == 'float32' else dtype
        )
        self.encoder: Encoder | None = None
        if opened.model.gives('embedding'):
            self.encoder = Encoder(self.scorer, opened.tokenizer)
        self.matches = opened.model.gives('match')
        self.fingerprint = _fingerprint(opened, texts)

    def tokens(self, texts: Iterable[str]) -> list[torch.Tensor]:
        """Token ids, int64 (T,) each."""
        return [torch.tensor(self.tokenizer.encode(text, self._max_length)) for text in texts]

    def pixels(self, image: np.ndarray) -> torch.Tensor:
        """The model's input for an image, uint8 (3, S, S).

        Raises:
            ValueError: the preprocessing gives images of several sizes.
        """
        pixels = self.pipeline(dict(img=image, caption=''))['inputs']['image']
        self._image_shape = self._image_shape or pixels.shape
        if pixels.shape != self._image_shape:
            raise ValueError(
                f'an image is {tuple(pixels.shape)} after preprocessing, the first one '
                f"{tuple(self._image_shape)}: add a Resize to one size to the model's preprocessing"
            )
        return pixels

    def text_embeds(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings float32 (n, D) of length 1; ValueError for a text without a known word."""
        token_ids = self.tokens(texts)
        for text, ids in zip(texts, token_ids):
            if not self.knows(ids):
                raise ValueError(f"'{text:.60}' has no word that the model knows: add a word")
        return self.embed_texts(token_ids)

    def knows(self, token_ids: torch.Tensor) -> bool:
        """Whether a text has a known word, not only special tokens."""
        return not {*self.tokenizer.special_ids}.issuperset(token_ids.tolist())

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


def _fingerprint(opened: OpenedModel, texts: bool) -> str:
    """Hash of preprocessing, network and weights; a GPU may build in another precision."""
    digest = hashlib.sha256()
    steps = {n: s for n, s in opened.description.preprocessing.items() if texts or n != 'tokenize'}
    # mean, attention heads, ...: settings that no weight tells
    settings = [opened.description.model.get(part) for part in ('backbone', 'data_preprocessor')]
    digest.update(json.dumps([steps, *settings], sort_keys=True).encode())
    if texts:
        digest.update(opened.tokenizer.fingerprint.encode())
    parts = ('backbone.', *(f'heads.{name}.' for name in opened.description.that_give('embedding')))
    for name, value in sorted(opened.model.state_dict().items()):
        if name.startswith(parts):
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
