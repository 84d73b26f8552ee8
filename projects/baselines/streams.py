"""What backbones share that read words and regions together, in one stream or in two.

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
    """A layer of BERT's, norms first: at random start that trains without long warm-up."""
    return nn.TransformerEncoderLayer(
        dims, num_heads, 4 * dims, 0.0, 'gelu', batch_first=True, norm_first=True
    )


class WordsAndRegions(BaseModule):
    """Tables and projections of both; a subclass has the layers.

    Args:
        vocab_size: rows of the word table.
        context_length: the longest caption in tokens.
        dims: C.
        token_embed_dim: of a word vector.
        stride: pixels of a picture along a cell's side.
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
        # BERT's start: at 1, as torch has it, the tied decoder's logits are too large
        for table in (self.words.words, self.words.positions):
            nn.init.normal_(table.weight, std=0.02)
        self.text = nn.Linear(token_embed_dim, dims)
        self.regions = Regions(dims, cnn, cnn_dims, region_dims)
        self.box = nn.Linear(BOX, dims)

    @property
    def token_embedding(self) -> torch.Tensor:
        """Word vectors (tokenizer, token_embed_dim)."""
        return self.words.words.weight

    @abstractmethod
    def encode_pair(self, *args: Any, **kwargs: Any) -> PairFeatures:
        """Encode picture and caption together."""

    def located(self, features: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        """Regions (B, N, C) that know their place."""
        return features + self.box(boxes.to(features.dtype))
