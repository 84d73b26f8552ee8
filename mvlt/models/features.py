"""What heads may ask a model for: each is computed once, when it is first asked for.

Legend: B batch, T text tokens, C channels of the last stage, H, W image sides.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from mvlt.models.encoders import PairFeatures
from mvlt.structures import with_streams


class Features:
    """A task runs only what its heads read.

    Args:
        model: has ``backbone``, ``neck`` and ``token_embedding``.
        inputs: what :class:`PairDataPreprocessor` returns under ``inputs``.
        cls_only: nobody will ask for more of ``pair`` than ``cls``.
    """

    def __init__(self, model: Any, inputs: dict[str, Any], cls_only: bool = False) -> None:
        self.model = model
        self.inputs = inputs
        self.cls_only = cls_only
        self._others: dict[tuple[str, str], Features] = {}

    def of(self, image: str = 'image', text: str = 'text') -> 'Features':
        """Of another image or text stream, each computed once; errors of ``with_streams``."""
        if (image, text) == ('image', 'text'):
            return self
        if (image, text) not in self._others:
            inputs = with_streams(self.inputs, image, text)
            self._others[image, text] = Features(self.model, inputs, self.cls_only)
        return self._others[image, text]

    @cached_property
    def pair(self) -> PairFeatures:
        """Image and caption encoded together: maps and sequences of all stages.

        Raises:
            ValueError: the encoder is dual.
        """
        inputs = self.inputs
        return self._encode_pair(inputs['image'], inputs['token_ids'], inputs['text_mask'])

    def _encode_pair(self, *inputs: torch.Tensor | None, cls_only: bool | None = None) -> Any:
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
        """Maps of all stages of the picture alone, nothing of it hidden."""
        return self.model.backbone.encode_image(self._whole('image'))

    @cached_property
    def text(self) -> tuple[torch.Tensor, ...]:
        """Sequences of all stages of the caption alone, no word of it hidden."""
        return self.model.backbone.encode_text(self._whole('token_ids'), self.inputs['text_mask'])

    def _whole(self, name: str) -> torch.Tensor:
        return self.inputs.get(f'whole_{name}', self.inputs[name])

    @cached_property
    def pooled_image(self) -> torch.Tensor:
        """Mean of the last map of ``image``, (B, C)."""
        if self._chunk is None:
            return self.image[-1].mean((2, 3))
        encode = self.model.backbone.encode_image
        return self._again(lambda image: encode(image)[-1].mean((2, 3)), self._whole('image'))

    @cached_property
    def pooled_text(self) -> torch.Tensor:
        """Mean of the last sequence of ``text`` over the caption's own tokens, (B, C)."""
        mask = self.inputs['text_mask']
        if self._chunk is None:
            return mean_of_tokens(self.text[-1], mask)
        encode = self.model.backbone.encode_text
        return self._again(
            lambda ids, mask=None: mean_of_tokens(encode(ids, mask)[-1], mask),
            self._whole('token_ids'),
            *([] if mask is None else [mask]),
        )

    @property
    def _chunk(self) -> int | None:
        """Of the model's ``grad_cache_chunk_size``, where it saves anything."""
        return (
            getattr(self.model, 'grad_cache_chunk_size', None) if torch.is_grad_enabled() else None
        )

    def _again(self, encode: Any, *tensors: torch.Tensor) -> torch.Tensor:
        """``encode``, grad_cache_chunk_size by grad_cache_chunk_size; the backward pass encodes
        each again.

        Of a batch only what is contrasted is kept, (B, C), as GradCache has it (Gao et al., 2021);
        the gradients are those of the whole.
        """
        parts = zip(*(one.split(self._chunk) for one in tensors))
        return torch.cat([checkpoint(encode, *part, use_reentrant=False) for part in parts])

    @cached_property
    def vectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of picture and caption, float32 (B, D) of length 1 each: of the head that gives them."""
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
        """Pictures and captions of this batch in other pairs, encoded together at each call.

        What is hidden in ``pair`` is hidden here, too: else hidden words alone tell a match.

        Args:
            image_rows, text_rows: rows of the batch, as many of both.
            cls_only: see the encoder's ``encode_pair``.
        """
        mask = self.inputs['text_mask']
        images, texts = (
            torch.as_tensor(rows, device=self.inputs['image'].device)
            for rows in (image_rows, text_rows)
        )
        return self._encode_pair(
            self.inputs['image'][images],
            self.inputs['token_ids'][texts],
            None if mask is None else mask[texts],
            cls_only=cls_only,
        )

    @property
    def token_embedding(self) -> torch.Tensor:
        """Word vectors (tokenizer, token_embed_dim) of the backbone."""
        return self.model.token_embedding


def mean_of_tokens(text: torch.Tensor, text_mask: torch.Tensor | None) -> torch.Tensor:
    """(B, T, C) -> (B, C); ``text_mask`` bool (B, T), True = a token of the caption, None = all."""
    if text_mask is None:
        return text.mean(1)
    weights = text_mask[..., None].to(text.dtype)
    return (text * weights).sum(1) / weights.sum(1)
