"""PVT-VL: the pyramid transformer over image patches and text tokens (paper Sec. 3.1)."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from torch import nn

from mvlt.models.encoders.joint import EncoderStage, JointEncoder, check_stages, init_weights
from mvlt.models.layers import (
    EncoderLayer,
    PatchEmbedding,
    SpatialReductionAttention,
    TextEmbedding,
)
from mvlt.registry import MODELS

# Layers per stage: `tiny` is Table 1 of the paper; the other sizes are Table 1 of PVT.
DEPTHS = {
    'tiny': (2, 2, 2, 2),
    'small': (3, 4, 6, 3),
    'medium': (3, 4, 18, 3),
    'large': (3, 8, 27, 3),
}


@MODELS.register_module()
class PVTVL(JointEncoder):
    """Four-stage pyramid transformer over image patches and caption tokens.

    Sizes are Table 1 of the paper: hidden sizes 64, 128, 320, 512, patch sizes 4, 2, 2, 2, so the
    image maps have 1/4, 1/8, 1/16 and 1/32 of the image's side; heads, MLP ratios and reductions
    are PVT's.

    Args:
        arch: 'tiny' (the paper's and the default), 'small', 'medium' or 'large'; sets ``depths``.
        image_size, context_length, vocab_size, token_embed_dim, token_dropout: see
            :class:`JointEncoder`.
        embed_dims: C_i, hidden size of each stage.
        depths: layers of each stage, instead of ``arch``.
        num_heads, mlp_ratios, reductions: per stage.
        drop_path_rate: stochastic depth of the last layer, 0 to 1, growing linearly from 0.
        init_std: of random linear layers. 0.02 suits the widths of PVT and BERT; None takes
            1 / sqrt(inputs), with which narrow models learn much sooner.
        init_cfg: mmengine's; ``dict(type=PretrainedImagePart, checkpoint=...)`` loads converted
            ImageNet weights.

    Raises:
        ValueError: an unknown ``arch``, or both ``arch`` and ``depths``; an ``image_size`` that 32
            does not divide, lists of wrong length.
    """

    strides = (4, 8, 16, 32)

    def __init__(
        self,
        arch: str | None = None,
        image_size: int = 256,
        context_length: int = 128,
        vocab_size: int = 30522,
        embed_dims: Sequence[int] = (64, 128, 320, 512),
        depths: Sequence[int] | None = None,
        num_heads: Sequence[int] = (1, 2, 5, 8),
        mlp_ratios: Sequence[float] = (8, 8, 4, 4),
        reductions: Sequence[int] = (8, 4, 2, 1),
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
        if arch is not None and depths is not None:
            raise ValueError(
                f"backbone.arch='{arch}' sets depths, which are {tuple(depths)} already: leave out "
                'one of them (backbone.depths=None)'
            )
        arch = arch or 'tiny'
        if arch not in DEPTHS:
            raise ValueError(f"backbone.arch='{arch}' is unknown; legal: {', '.join(DEPTHS)}")
        depths = tuple(depths or DEPTHS[arch])
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
            side = image_size // self.strides[i]
            layers = [
                EncoderLayer(
                    dims,
                    SpatialReductionAttention(dims, num_heads[i], reductions[i]),
                    mlp_ratios[i],
                    next(drop_paths),
                )
                for _ in range(depths[i])
            ]
            self.stages.append(
                EncoderStage(
                    PatchEmbedding(image_dims, dims, 4 if i == 0 else 2, (side, side)),
                    TextEmbedding(text_dims, dims, context_length),
                    layers,
                )
            )
            image_dims = text_dims = dims
        self.apply(partial(init_weights, std=init_std))
