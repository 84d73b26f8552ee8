"""A joint pyramid on the stages of a pretrained image backbone.

Legend: B batch, N image tokens = H x W, T text tokens, C_i channels of a joint stage, D_i channels
of the backbone's map.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from mvlt.models.encoders.image_backbone import ImageBackbone
from mvlt.models.encoders.joint import (
    EncoderStage,
    JointEncoder,
    check_stages,
    init_weights,
)
from mvlt.models.encoders.pvt_v2_vl import ConvEncoderLayer
from mvlt.models.layers import PooledAttention, TextEmbedding
from mvlt.registry import MODELS


class SideEmbedding(nn.Module):
    """A map of the backbone, plus the joint map of the stage before at half its size.

    Args:
        map_dims: D_i.
        in_dims: C of the stage before; None in the first stage.
        dims: C_i.
    """

    def __init__(self, map_dims: int, in_dims: int | None, dims: int) -> None:
        super().__init__()
        self.norm_map = nn.GroupNorm(1, map_dims)
        self.projection = nn.Conv2d(map_dims, dims, 1)
        self.down = None if in_dims is None else nn.Conv2d(in_dims, dims, 3, 2, padding=1)
        self.norm = nn.LayerNorm(dims)

    def forward(
        self, image: torch.Tensor, side: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[int, int]]:
        """(B, C, 2 H, 2 W) and (B, D_i, H, W) -> tokens (B, N, C_i) and (H, W)."""
        x = self.projection(self.norm_map(side))
        if self.down is not None:
            x = x + self.down(image)
        return self.norm(x.flatten(2).transpose(1, 2)), (x.shape[2], x.shape[3])


class ImageStage(nn.Module):
    """The first stage: image and text are embedded apart, without layers."""

    def __init__(self, patches: SideEmbedding, text: TextEmbedding) -> None:
        super().__init__()
        self.patches = patches
        self.text = text

    def forward(
        self,
        image: torch.Tensor | None,
        text: torch.Tensor | None,
        text_mask: torch.Tensor | None,
        side: torch.Tensor | None = None,
    ) -> tuple[Any, Any]:
        """As of :class:`EncoderStage`."""
        if image is not None:
            tokens, size = self.patches(image, side)
            image = tokens.transpose(1, 2).unflatten(2, size)
        return image, None if text is None else self.text(text)


@MODELS.register_module()
class BackboneVL(JointEncoder):
    """Joint layers beside the four stages of a pretrained image backbone.

    The backbone's maps (strides 4 to 32) give the visual side of the stages of PVT-VL; text joins
    from the second stage on. The joint layers do not change the backbone's maps, so a frozen
    backbone needs no backward pass, and its maps serve every caption of an image. Not in the paper,
    whose stages start from PVT's ImageNet weights (Table 4).

    Args:
        image_encoder: an :class:`ImageBackbone` or its settings, with maps of four stages.
        image_size, context_length, vocab_size, token_embed_dim, token_dropout: see
            :class:`JointEncoder`.
        embed_dims: C_i of each stage.
        depths: layers of stages 2 to 4.
        num_heads, mlp_ratio: of these layers.
        pool_size: side of the averaged map of keys (:class:`PooledAttention`).
        drop_path_rate, init_std: see :class:`PVTVL`.

    Raises:
        ValueError: the backbone has other strides; lists of wrong length.
    """

    strides = (4, 8, 16, 32)

    def __init__(
        self,
        image_encoder: dict | ImageBackbone,
        image_size: int = 224,
        context_length: int = 128,
        vocab_size: int = 30522,
        token_embed_dim: int = 256,
        token_dropout: float = 0.1,
        embed_dims: Sequence[int] = (32, 64, 160, 256),
        depths: Sequence[int] = (1, 2, 2),
        num_heads: Sequence[int] = (2, 5, 8),
        mlp_ratio: float = 4,
        pool_size: int = 7,
        drop_path_rate: float = 0.0,
        init_std: float | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            image_size,
            context_length,
            vocab_size,
            token_embed_dim,
            token_dropout,
            embed_dims,
            init_cfg,
        )
        check_stages(embed_dims=embed_dims, depths=(0, *depths), num_heads=(1, *num_heads))
        rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
        stages: list[nn.Module] = []
        text_dims = token_embed_dim
        map_dims = self._build_image_encoder(image_encoder)
        for i, dims in enumerate(self.embed_dims):
            patches = SideEmbedding(map_dims[i], self.embed_dims[i - 1] if i else None, dims)
            text = TextEmbedding(text_dims, dims, context_length)
            text_dims = dims
            if not i:
                stages.append(ImageStage(patches, text))
                continue
            layers = [
                ConvEncoderLayer(
                    dims,
                    PooledAttention(dims, num_heads[i - 1], pool_size),
                    mlp_ratio,
                    next(rates),
                    relu=True,
                )
                for _ in range(depths[i - 1])
            ]
            stages.append(EncoderStage(patches, text, layers, nn.LayerNorm(dims, eps=1e-6)))
        self.stages = nn.ModuleList(stages)
        for part in (self.stages, self.words):
            part.apply(partial(init_weights, std=init_std))

    def _build_image_encoder(self, settings: dict | ImageBackbone) -> tuple[int, ...]:
        encoder: ImageBackbone = MODELS.build(settings) if isinstance(settings, dict) else settings
        if encoder.pooled or encoder.strides != self.strides:
            raise ValueError(
                f'backbone.image_encoder gives maps of strides {encoder.strides}; BackboneVL needs '
                f'{self.strides}: set out_indices to four stages, and pooled=False'
            )
        self.image_encoder = encoder
        return encoder.embed_dims

    def maps(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The backbone's maps (B, D_i, H / s_i, W / s_i)."""
        self._check_image(image)
        return self.image_encoder(image)
