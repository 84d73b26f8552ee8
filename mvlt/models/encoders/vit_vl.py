"""ViT-VL: a single-scale transformer over image patches and text tokens (paper Fig. 4a)."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from torch import nn

from mvlt.models.encoders.joint import EncoderStage, JointEncoder, init_weights
from mvlt.models.layers import (
    EncoderLayer,
    PatchEmbedding,
    SpatialReductionAttention,
    TextEmbedding,
)
from mvlt.registry import MODELS


@MODELS.register_module()
class ViTVL(JointEncoder):
    """One stage with patches of 32 pixels: Fig. 4a, where P = 32 = alpha 8 x P 4 of the pyramid.

    It gives one image map, at 1/32, and one text sequence; MIR needs the neck
    :class:`mvlt.models.LightDecoder`. The paper names no sizes; defaults are ViT-S/32's
    (Dosovitskiy et al., 2021), whose ImageNet weights ``tools/model_converters/to_mvlt.py vit``
    converts. [CLS] of the caption replaces the class token.

    Args:
        image_size, context_length, vocab_size, token_embed_dim, token_dropout: see
        :class:`JointEncoder`.
        embed_dims: one hidden size.
        depth: layers.
        num_heads: attention heads of each.
        mlp_ratio: hidden size of an MLP in units of ``embed_dims``.
        patch_size: pixels; it must divide the image's side.
        drop_path_rate, init_std, init_cfg: see :class:`PVTVL`.

    Raises:
        ValueError: an ``image_size`` that 32 does not divide, or more than one hidden size.
    """

    def __init__(
        self,
        image_size: int = 256,
        context_length: int = 128,
        vocab_size: int = 30522,
        embed_dims: Sequence[int] = (384,),
        depth: int = 12,
        num_heads: int = 6,
        mlp_ratio: float = 4,
        patch_size: int = 32,
        token_embed_dim: int = 768,
        token_dropout: float = 0.1,
        drop_path_rate: float = 0.1,
        init_std: float | None = 0.02,
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
        if len(embed_dims) != 1:
            raise ValueError(f'backbone.embed_dims={embed_dims}: ViTVL has one stage, one size')
        if image_size % patch_size:
            raise ValueError(
                f'backbone.patch_size={patch_size} does not divide image_size={image_size}'
            )
        self.strides = (patch_size,)
        dims, grid = embed_dims[0], image_size // patch_size
        layers = [
            EncoderLayer(dims, SpatialReductionAttention(dims, num_heads, 1), mlp_ratio, rate)
            for rate in np.linspace(0, drop_path_rate, depth).tolist()
        ]
        self.stages = nn.ModuleList(
            [
                EncoderStage(
                    PatchEmbedding(3, dims, patch_size, (grid, grid), norm=False),
                    TextEmbedding(token_embed_dim, dims, context_length),
                    layers,
                    nn.LayerNorm(dims, eps=1e-6),
                )
            ]
        )
        self.apply(partial(init_weights, std=init_std))
