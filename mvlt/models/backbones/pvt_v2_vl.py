"""PVT-v2-VL: the second pyramid transformer (Wang et al., 2022) over image patches and words.

Legend: B batch, N image tokens = H x W, T text tokens, C channels, F hidden channels of an MLP.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from mvlt.models.backbones.base import EncoderStage, PairBackbone, check_stages, init_weights
from mvlt.models.layers import (
    EncoderLayer,
    OverlapPatchEmbedding,
    PooledAttention,
    TextEmbedding,
)
from mvlt.registry import MODELS

# Layers per stage of PVT-v2's B1 to B5 (its Table 1); B0 has B1's and half of the channels.
DEPTHS = {
    'b1': (2, 2, 2, 2),
    'b2': (3, 4, 6, 3),
    'b3': (3, 4, 18, 3),
    'b4': (3, 8, 27, 3),
    'b5': (3, 6, 40, 3),
}


class ConvEncoderLayer(EncoderLayer):
    """A layer whose MLP has a 3 x 3 depth-wise convolution over the image tokens.

    Its zero padding tells the image tokens their place, so there are no learnt positions. Words
    have no neighbours in two dimensions; they pass by the convolution.
    """

    def __init__(self, dims: int, attention: nn.Module, mlp_ratio: float, drop_path: float) -> None:
        super().__init__(dims, attention, mlp_ratio, drop_path)
        hidden = int(dims * mlp_ratio)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)

    def feed_forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(B, N + T, C) -> (B, N + T, C)."""
        widen, activation, narrow = self.mlp
        image_BNF, text_BTF = widen(x).tensor_split((size[0] * size[1],), dim=1)
        image_BFHW = self.depthwise(image_BNF.transpose(1, 2).unflatten(2, size))
        x = torch.cat((image_BFHW.flatten(2).transpose(1, 2), text_BTF), dim=1)
        return narrow(activation(x))


@MODELS.register_module()
class PVTV2VL(PairBackbone):
    """Four stages with overlapping patches and attention of linear cost (PVT-v2-Li).

    The image's keys are a map averaged to 7 x 7, whatever the image's side. The same contract and
    the same hidden sizes as :class:`PVTVL`; not in the paper.

    Args:
        arch: 'b1' to 'b5'; sets ``depths``.
        image_size, text_len, vocab_size, word_dims, word_dropout: see :class:`PairBackbone`.
        embed_dims: C_i, hidden size of each stage.
        depths: layers of each stage; overrides ``arch``.
        num_heads, mlp_ratios: per stage.
        pool_size: side of the averaged map of keys.
        drop_path_rate, init_std, init_cfg: see :class:`PVTVL`.

    Raises:
        ValueError: an unknown ``arch``, a side that 32 does not divide, lists of unequal length.
    """

    strides = (4, 8, 16, 32)

    def __init__(
        self,
        arch: str = 'b1',
        image_size: int = 256,
        text_len: int = 128,
        vocab_size: int = 30522,
        embed_dims: Sequence[int] = (64, 128, 320, 512),
        depths: Sequence[int] | None = None,
        num_heads: Sequence[int] = (1, 2, 5, 8),
        mlp_ratios: Sequence[float] = (8, 8, 4, 4),
        pool_size: int = 7,
        word_dims: int = 768,
        word_dropout: float = 0.1,
        drop_path_rate: float = 0.1,
        init_std: float | None = 0.02,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            image_size, text_len, vocab_size, word_dims, word_dropout, embed_dims, init_cfg
        )
        if arch not in DEPTHS:
            raise ValueError(f"backbone.arch='{arch}' is unknown; legal: {', '.join(DEPTHS)}")
        depths = tuple(depths or DEPTHS[arch])
        check_stages(
            embed_dims=embed_dims, depths=depths, num_heads=num_heads, mlp_ratios=mlp_ratios
        )
        drop_paths = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
        self.stages = nn.ModuleList()
        image_dims, text_dims = 3, word_dims
        for i, dims in enumerate(self.embed_dims):
            layers = [
                ConvEncoderLayer(
                    dims,
                    PooledAttention(dims, num_heads[i], pool_size),
                    mlp_ratios[i],
                    next(drop_paths),
                )
                for _ in range(depths[i])
            ]
            patches = OverlapPatchEmbedding(image_dims, dims, 4 if i == 0 else 2)
            self.stages.append(
                EncoderStage(patches, TextEmbedding(text_dims, dims, text_len), layers)
            )
            image_dims = text_dims = dims
        self.apply(partial(init_weights, std=init_std))
