"""A model's features, each computed once, on first use.

Legend: B batch, T text tokens, C channels of the last stage, D size of an embedding.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from mvlt.models.encoders import PairFeatures
from mvlt.structures import with_streams


class Features:
    """Features of a batch: the model runs only the parts that heads read.

    Args:
        model: has ``backbone``, ``neck`` and ``token_embedding``.
        inputs: ``inputs`` of :class:`PairDataPreprocessor`.
        cls_only: compute ``cls`` alone of ``pair``.
    """

    def __init__(self, model: Any, inputs: dict[str, Any], cls_only: bool = False) -> None:
        self.model = model
        self.inputs = inputs
        self.cls_only = cls_only
        self._streams: dict[tuple[str, str], Features] = {}

    def of(self, image: str = 'image', text: str = 'text') -> 'Features':
        """Features of another image or text stream; errors of ``with_streams``."""
        if (image, text) == ('image', 'text'):
            return self
        if (image, text) not in self._streams:
            inputs = with_streams(self.inputs, image, text)
            self._streams[image, text] = Features(self.model, inputs, self.cls_only)
        return self._streams[image, text]

    @cached_property
    def pair(self) -> PairFeatures:
        """Image and caption encoded together: maps and sequences of all stages.

        Raises:
            ValueError: the encoder is dual.
        """
        return self._encode_pair(self._maps, self.inputs['token_ids'], self.inputs['text_mask'])

    @cached_property
    def _maps(self) -> Any:
        """``maps`` of a joint encoder's image, which all captions of the image share."""
        return self._maps_of(self.inputs['image'])

    @cached_property
    def _whole_maps(self) -> Any:
        """The same of the unmasked image."""
        return self._maps_of(self._whole('image')) if 'whole_image' in self.inputs else self._maps

    def _maps_of(self, image: torch.Tensor) -> Any:
        maps = getattr(self.model.backbone, 'maps', None)
        return image if maps is None else maps(image)

    def _encode_pair(self, *inputs: Any, cls_only: bool | None = None) -> Any:
        encode = getattr(self.model.backbone, 'encode_pair', None)
        if encode is None:
            raise ValueError(
                'a dual-encoder model cannot read image and text together: take a joint encoder '
                '(PVTVL, PVTV2VL, ViTVL), or rank by embeddings'
            )
        return encode(*inputs, self.cls_only if cls_only is None else cls_only)

    @property
    def cls(self) -> torch.Tensor:
        """[CLS] of the last stage of ``pair``, (B, C)."""
        return self.pair.texts[-1][:, 0]

    @cached_property
    def image(self) -> tuple[torch.Tensor, ...]:
        """Maps of all stages of the image alone, unmasked."""
        return self.model.backbone.encode_image(self._whole_maps)

    @cached_property
    def text(self) -> tuple[torch.Tensor, ...]:
        """Sequences of all stages of the caption alone, unmasked."""
        return self.model.backbone.encode_text(self._whole('token_ids'), self.inputs['text_mask'])

    def _whole(self, name: str) -> torch.Tensor:
        return self.inputs.get(f'whole_{name}', self.inputs[name])

    @cached_property
    def pooled_image(self) -> torch.Tensor:
        """Mean of the last map of ``image``, (B, C)."""
        if self._chunk_size is None:
            return self.image[-1].mean((2, 3))
        encode = self.model.backbone.encode_image
        return self._by_chunks(lambda image: encode(image)[-1].mean((2, 3)), self._whole('image'))

    @cached_property
    def pooled_text(self) -> torch.Tensor:
        """Mean of the last sequence of ``text`` over the caption's tokens, (B, C)."""
        mask = self.inputs['text_mask']
        if self._chunk_size is None:
            return mean_of_tokens(self.text[-1], mask)
        encode = self.model.backbone.encode_text
        return self._by_chunks(
            lambda ids, mask=None: mean_of_tokens(encode(ids, mask)[-1], mask),
            self._whole('token_ids'),
            *([] if mask is None else [mask]),
        )

    @property
    def _chunk_size(self) -> int | None:
        """``grad_cache_chunk_size`` of the model; None without gradients, which need no memory."""
        return (
            getattr(self.model, 'grad_cache_chunk_size', None) if torch.is_grad_enabled() else None
        )

    def _by_chunks(self, encode: Any, *tensors: torch.Tensor) -> torch.Tensor:
        """Encode chunk by chunk, and again in the backward pass.

        As GradCache (Gao et al., 2021) this keeps only (B, C) of a batch; gradients are exact.
        """
        chunks = zip(*(values.split(self._chunk_size) for values in tensors))
        return torch.cat([checkpoint(encode, *chunk, use_reentrant=False) for chunk in chunks])

    @cached_property
    def embeds(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Image and text embeddings of the embedding head, float32 (B, D) of length 1 each."""
        head = self.model.head_that('embedding')
        return head.image_embeds(self.pooled_image), head.text_embeds(self.pooled_text)

    @cached_property
    def decoded(self) -> torch.Tensor:
        """The neck's map of ``pair``."""
        return self.model.neck(self.pair.images)

    def pairs(
        self,
        image_rows: Sequence[int] | torch.Tensor,
        text_rows: Sequence[int] | torch.Tensor,
        cls_only: bool = False,
    ) -> PairFeatures:
        """Images and captions of this batch in other pairs, encoded at each call.

        They are masked as in ``pair``; otherwise masked tokens alone would tell a match.

        Args:
            image_rows, text_rows: rows of the batch, of equal length.
            cls_only: see ``encode_pair`` of the encoder.
        """
        mask, maps = self.inputs['text_mask'], self._maps
        images, texts = (
            torch.as_tensor(rows, device=self.inputs['image'].device)
            for rows in (image_rows, text_rows)
        )
        return self._encode_pair(
            maps[images] if isinstance(maps, torch.Tensor) else tuple(x[images] for x in maps),
            self.inputs['token_ids'][texts],
            None if mask is None else mask[texts],
            cls_only=cls_only,
        )

    @property
    def token_embedding(self) -> torch.Tensor:
        """Token embeddings (vocab_size, token_embed_dim) of the backbone."""
        return self.model.token_embedding


def mean_of_tokens(text: torch.Tensor, text_mask: torch.Tensor | None) -> torch.Tensor:
    """(B, T, C) -> (B, C); ``text_mask`` bool (B, T), True = a token of the caption, None = all."""
    if text_mask is None:
        return text.mean(1)
    weights = text_mask[..., None].to(text.dtype)
    return (text * weights).sum(1) / weights.sum(1)
