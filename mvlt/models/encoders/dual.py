"""Dual encoder: separate image and text encoders, as in CLIP and VSE.

Legend: B batch, H, W image sides, h, w sides of a map, N image tokens, T text tokens, C channels.
"""

from typing import Any

import torch
from mmengine.model import BaseModule
from torch import nn

from mvlt.models.encoders.image_backbone import as_map
from mvlt.registry import MODELS


@MODELS.register_module()
class DualEncoder(BaseModule):
    """Any image encoder and any text encoder, without shared weights.

    It has ``encode_image`` and ``encode_text`` of the encoders' interface
    (:class:`mvlt.models.encoders.JointEncoder`), but no ``encode_pair``: heads that read image and
    text together need a joint encoder.

    Args:
        image_encoder: a module or its settings, e.g. dict(type='mmpretrain.ResNet', depth=18) or
            dict(type=:class:`ImageBackbone`, pooled=True, ...). It turns float (B, 3, H, W) into a
            map (B, C, h, w), tokens (B, N, C), a vector (B, C), or a tuple of them, of which the
            last is used.
        text_encoder: a module or its settings, e.g. dict(type=TextTransformer). It turns int64
            (B, T) and a mask, bool (B, T) or None, into tokens (B, T, C) or a vector (B, C). It has
            ``embed_dims``, C, and ``token_embedding`` (vocab_size, token dims).
        image_dims: channels of the image encoder; a linear layer maps them to C. None = those of
            an encoder with ``embed_dims``, else C.
        standardise: scale each channel of the image encoder by running statistics to mean 0 and
            variance 1 first (BatchNorm without weights), for frozen encoders.
        image_hidden_dims: hidden size of an MLP beside the linear layer; None = no MLP.
        image_dropout: in the MLP, 0 to 1.
        vocab_size: argument of ``text_encoder``, if that is settings.
    """

    def __init__(
        self,
        image_encoder: nn.Module | dict,
        text_encoder: nn.Module | dict,
        image_dims: int | None = None,
        standardise: bool = False,
        image_hidden_dims: int | None = None,
        image_dropout: float = 0.3,
        vocab_size: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if vocab_size is not None and isinstance(text_encoder, dict):
            text_encoder = dict(text_encoder, vocab_size=vocab_size)
        self.image_encoder, self.text_encoder = (
            MODELS.build(part) if isinstance(part, dict) else part
            for part in (image_encoder, text_encoder)
        )
        dims: Any = self.text_encoder.embed_dims
        self.embed_dims: tuple[int] = (dims,)
        sizes: Any = getattr(self.image_encoder, 'embed_dims', dims)
        if image_dims is None:
            image_dims = sizes if isinstance(sizes, int) else sizes[-1]
        self.image_dims: int = image_dims
        self.projection: nn.Module = nn.Identity()
        if self.image_dims != dims or standardise:
            self.projection = nn.Conv2d(self.image_dims, dims, 1)
        self.standardise: nn.Module = nn.Identity()
        if standardise:
            self.standardise = nn.BatchNorm2d(self.image_dims, affine=False)
        self.mlp: nn.Module | None = None
        if image_hidden_dims is not None:
            self.mlp = nn.Sequential(
                nn.Conv2d(self.image_dims, image_hidden_dims, 1),
                nn.GELU(),
                nn.Dropout(image_dropout),
                nn.Conv2d(image_hidden_dims, dims, 1),
            )

    @property
    def token_embedding(self) -> torch.Tensor:
        """Token embeddings of the text encoder, (vocab_size, token dims)."""
        table: Any = self.text_encoder.token_embedding
        return table

    @property
    def vocab_size(self) -> int:
        """Rows of the token embeddings."""
        return len(self.token_embedding)

    @property
    def context_length(self) -> int | None:
        """The longest text in tokens; None for a text encoder without a limit."""
        return getattr(self.text_encoder, 'context_length', None)

    def encode_image(self, image: torch.Tensor) -> tuple[torch.Tensor]:
        """One map (B, C, h, w), N x 1 of tokens and 1 x 1 of a vector.

        Args:
            image: float (B, 3, H, W), or the image encoder's vectors (B, D), e.g. of a cache.

        Raises:
            ValueError: the image encoder returns other channels than ``image_dims``.
        """
        encoded = image if image.ndim == 2 else self.image_encoder(image)
        encoded = as_map(encoded[-1] if isinstance(encoded, tuple | list) else encoded)
        if encoded.shape[1] != self.image_dims:
            raise ValueError(
                f'the image encoder {type(self.image_encoder).__name__} returns '
                f'{encoded.shape[1]} channels: set backbone.image_dims={encoded.shape[1]}, which '
                f'is {self.image_dims}'
            )
        x = self.standardise(encoded)
        return (self.projection(x) if self.mlp is None else self.projection(x) + self.mlp(x),)

    def encode_text(
        self, token_ids: torch.Tensor, text_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor]:
        """One sequence (B, T, C); a vector is repeated for every token."""
        encoded = self.text_encoder(token_ids, text_mask)
        if encoded.ndim == 2:
            encoded = encoded[:, None].expand(-1, token_ids.shape[1], -1)
        return (encoded,)
