"""A small text encoder for dual encoders.

Legend: B batch, T text tokens, C channels.
"""

from functools import partial

import numpy as np
import torch
from mmengine.model import BaseModule
from torch import nn

from mvlt.models.encoders.joint import check_length, init_weights
from mvlt.models.layers import EncoderLayer, SpatialReductionAttention, TokenEmbedding
from mvlt.registry import MODELS


@MODELS.register_module()
class TextTransformer(BaseModule):
    """Token embeddings and pre-norm transformer layers.

    Args:
        vocab_size: rows of the token embeddings.
        context_length: the longest text in tokens, special tokens included.
        embed_dims: C, of tokens and layers.
        depth: layers; 0 = the embeddings alone, a bag of words.
        num_heads: attention heads of each layer.
        mlp_ratio: hidden size of an MLP in units of C.
        dropout: on token embeddings, 0 to 1.
        drop_path_rate, init_std: see :class:`PVTVL`.
        token_embed_dim: size of a token embedding; a linear layer maps it to C. None = C.
    """

    def __init__(
        self,
        vocab_size: int = 30522,
        context_length: int = 128,
        embed_dims: int = 256,
        depth: int = 2,
        num_heads: int = 4,
        mlp_ratio: float = 4,
        dropout: float = 0.1,
        drop_path_rate: float = 0.1,
        init_std: float | None = 0.02,
        token_embed_dim: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.context_length = context_length
        dims = token_embed_dim or embed_dims
        self.words = TokenEmbedding(vocab_size, dims, context_length, dropout)
        self.projection = nn.Identity() if dims == embed_dims else nn.Linear(dims, embed_dims)
        self.layers = nn.ModuleList(
            EncoderLayer(
                embed_dims, SpatialReductionAttention(embed_dims, num_heads, 1), mlp_ratio, rate
            )
            for rate in np.linspace(0, drop_path_rate, depth).tolist()
        )
        self.norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.apply(partial(init_weights, std=init_std))

    @property
    def token_embedding(self) -> torch.Tensor:
        """Token embeddings (vocab_size, token_embed_dim)."""
        return self.words.words.weight

    def forward(
        self, token_ids: torch.Tensor, text_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Int64 (B, T), mask bool (B, T), True = a real token, None = all -> (B, T, C).

        Raises:
            ValueError: T is more than ``context_length``.
        """
        check_length(token_ids, self.context_length, 'text_encoder.context_length')
        x_BTC = self.projection(self.words(token_ids))
        key_mask = None if text_mask is None else text_mask[:, None, None]
        for layer in self.layers:
            x_BTC = layer(x_BTC, (0, 0), key_mask)
        return self.norm(x_BTC)
