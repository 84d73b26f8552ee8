"""PVT-v2-VL: the pyramid transformer v2 (Wang et al., 2022) over image patches and tokens.

Legend: B batch, N image tokens = H x W, T text tokens, C channels, F hidden channels of an MLP.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from mvlt.models.encoders.joint import EncoderStage, JointEncoder, check_stages, init_weights
from mvlt.models.layers import (
    EncoderLayer,
    OverlapPatchEmbedding,
    PooledAttention,
    SpatialReductionAttention,
    TextEmbedding,
)
from mvlt.registry import MODELS

# hidden sizes, layers and MLP ratios of each stage (PVT-v2, Table 1)
ARCHITECTURES = {
    'b0': ((32, 64, 160, 256), (2, 2, 2, 2), (8, 8, 4, 4)),
    'b1': ((64, 128, 320, 512), (2, 2, 2, 2), (8, 8, 4, 4)),
    'b2': ((64, 128, 320, 512), (3, 4, 6, 3), (8, 8, 4, 4)),
    'b3': ((64, 128, 320, 512), (3, 4, 18, 3), (8, 8, 4, 4)),
    'b4': ((64, 128, 320, 512), (3, 8, 27, 3), (8, 8, 4, 4)),
    'b5': ((64, 128, 320, 512), (3, 6, 40, 3), (4, 4, 4, 4)),
}


class ConvEncoderLayer(EncoderLayer):
    """A layer whose MLP has a 3 x 3 depth-wise convolution over the image tokens.

    Zero padding replaces learnt positions. Text tokens skip the convolution.

    Args:
        dims, attention, mlp_ratio, drop_path: see :class:`EncoderLayer`.
        relu: apply a ReLU to image tokens before the convolution, as in PVT-v2-Li.
    """

    def __init__(
        self, dims: int, attention: nn.Module, mlp_ratio: float, drop_path: float, relu: bool
    ) -> None:
        super().__init__(dims, attention, mlp_ratio, drop_path)
        hidden = int(dims * mlp_ratio)
        self.relu = nn.ReLU() if relu else nn.Identity()
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)

    def feed_forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(B, N + T, C) -> (B, N + T, C)."""
        widen, activation, narrow = self.mlp
        if 0 in size:
            return narrow(activation(widen(x)))
        image_BNF, text_BTF = widen(x).tensor_split((size[0] * size[1],), dim=1)
        image_BFHW = self.depthwise(self.relu(image_BNF).transpose(1, 2).unflatten(2, size))
        x = torch.cat((image_BFHW.flatten(2).transpose(1, 2), text_BTF), dim=1)
        return narrow(activation(x))


@MODELS.register_module()
class PVTV2VL(JointEncoder):
    """Four stages with overlapping patches, a convolution in each MLP, a norm after each stage.

    Not in the paper. An image alone gives the output of PVT-v2, whose ImageNet weights convert by
    name (``tools/model_converters/to_mvlt.py pvt_v2``), B0 to B5 for ``linear=False``, B2-Li for
    ``linear=True``.

    Args:
        arch: 'b0' to 'b5'; sets ``embed_dims``, ``depths`` and ``mlp_ratios``.
        image_size, context_length, vocab_size, token_embed_dim, token_dropout: see
        :class:`JointEncoder`.
        embed_dims: C_i, hidden size of each stage; overrides ``arch``, as the next two do.
        depths: layers of each stage.
        mlp_ratios, num_heads: per stage.
        linear: True: the image's keys are its map averaged to ``pool_size``, at linear cost
            (PVT-v2-Li); False: a convolution of stride ``reductions``, as in PVT.
        pool_size: side of the averaged map of keys.
        reductions: per stage.
        drop_path_rate, init_std, init_cfg: see :class:`PVTVL`.

    Raises:
        ValueError: an unknown ``arch``, an ``image_size`` that 32 does not divide, lists of wrong
            length.
    """

    strides = (4, 8, 16, 32)

    def __init__(
        self,
        arch: str = 'b1',
        image_size: int = 256,
        context_length: int = 128,
        vocab_size: int = 30522,
        embed_dims: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        num_heads: Sequence[int] = (1, 2, 5, 8),
        mlp_ratios: Sequence[float] | None = None,
        linear: bool = True,
        pool_size: int = 7,
        reductions: Sequence[int] = (8, 4, 2, 1),
        token_embed_dim: int = 768,
        token_dropout: float = 0.1,
        drop_path_rate: float = 0.1,
        init_std: float | None = 0.02,
        init_cfg: dict | None = None,
    ) -> None:
        if arch not in ARCHITECTURES:
            raise ValueError(
                f"backbone.arch='{arch}' is unknown; legal: {', '.join(ARCHITECTURES)}"
            )
        usual_dims, usual_depths, usual_ratios = ARCHITECTURES[arch]
        embed_dims = embed_dims or usual_dims
        depths = depths or usual_depths
        mlp_ratios = mlp_ratios or usual_ratios
        super().__init__(
            image_size,
            context_length,
            vocab_size,
            token_embed_dim,
            token_dropout,
            embed_dims,
            init_cfg,
        )
        check_stages(
            embed_dims=embed_dims,
            depths=depths,
            num_heads=num_heads,
            mlp_ratios=mlp_ratios,
            reductions=reductions,
        )
        drop_paths = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
        self.stages = nn.ModuleList()
        image_dims, text_dims = 3, token_embed_dim
        for i, dims in enumerate(self.embed_dims):
            layers = [
                ConvEncoderLayer(
                    dims,
                    PooledAttention(dims, num_heads[i], pool_size)
                    if linear
                    else SpatialReductionAttention(dims, num_heads[i], reductions[i]),
                    mlp_ratios[i],
                    next(drop_paths),
                    relu=linear,
                )
                for _ in range(depths[i])
            ]
            patches = OverlapPatchEmbedding(image_dims, dims, 4 if i == 0 else 2)
            self.stages.append(
                EncoderStage(
                    patches,
                    TextEmbedding(text_dims, dims, context_length),
                    layers,
                    nn.LayerNorm(dims, eps=1e-6),
                )
            )
            image_dims = text_dims = dims
        self.apply(partial(init_weights, std=init_std))
