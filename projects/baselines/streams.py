"""Base of the backbones that read tokens and regions, in one stream or two.

Legend: B batch, N regions, T tokens, C channels.
"""

from abc import abstractmethod
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import nn

from mvlt.models.encoders import PairFeatures
from mvlt.models.layers import TokenEmbedding
from projects.baselines.regions import BOX, Regions


def layer(dims: int, num_heads: int) -> nn.TransformerEncoderLayer:
    """A pre-norm transformer layer; it trains from scratch without a long warm-up."""
    return nn.TransformerEncoderLayer(
        dims, num_heads, 4 * dims, 0.0, 'gelu', batch_first=True, norm_first=True
    )


class WordsAndRegions(BaseModule):
    """Embeddings and projections of tokens and regions; subclasses add layers.

    Args:
        vocab_size: rows of the token embeddings.
        context_length: longest caption in tokens.
        dims: C.
        token_embed_dim: size of a token embedding.
        stride: pixels along a cell's side.
        cnn, cnn_dims, region_dims: see :class:`Regions`.
    """

    def __init__(
        self,
        vocab_size: int,
        context_length: int = 64,
        dims: int = 128,
        token_embed_dim: int = 128,
        stride: int = 16,
        cnn: dict | None = None,
        cnn_dims: int = 256,
        region_dims: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = (dims,)
        self.strides = (stride,)
        self.words = TokenEmbedding(vocab_size, token_embed_dim, max(512, context_length), 0.0)
        # as in BERT; with torch's default of 1 the tied decoder's logits are too large
        for table in (self.words.words, self.words.positions):
            nn.init.normal_(table.weight, std=0.02)
        self.text = nn.Linear(token_embed_dim, dims)
        self.regions = Regions(dims, cnn, cnn_dims, region_dims)
        self.box = nn.Linear(BOX, dims)

    @property
    def token_embedding(self) -> torch.Tensor:
        """Token embeddings (vocab_size, token_embed_dim)."""
        return self.words.words.weight

    @abstractmethod
    def encode_pair(self, *args: Any, **kwargs: Any) -> PairFeatures:
        """Encode image and caption together."""

    def located(self, features: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        """Add box embeddings to regions (B, N, C)."""
        return features + self.box(boxes.to(features.dtype))
