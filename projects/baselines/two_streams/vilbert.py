"""ViLBERT (Lu et al., 2019): a text stream and a region stream with co-attention.

Legend: B batch, N regions, T tokens, C channels.
"""

from typing import Any

import torch
from torch import nn

from mvlt.models.encoders import PairFeatures
from mvlt.registry import MODELS
from projects.baselines.streams import WordsAndRegions, layer


class CoAttention(nn.Module):
    """Each stream attends to the other stream (Sec. 2.2), then to itself.

    A feed-forward layer follows each attention.

    Args:
        dims: C.
        num_heads: heads of each attention.
    """

    def __init__(self, dims: int, num_heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dims) for _ in range(2))
        self.across = nn.ModuleList(
            nn.MultiheadAttention(dims, num_heads, batch_first=True) for _ in range(2)
        )
        self.feeds = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(dims), nn.Linear(dims, 4 * dims), nn.GELU(), nn.Linear(4 * dims, dims)
            )
            for _ in range(2)
        )
        self.within = nn.ModuleList(layer(dims, num_heads) for _ in range(2))

    def forward(
        self, text: torch.Tensor, regions: torch.Tensor, padding: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Text (B, T, C), regions (B, N, C); padding bool (B, T), True = padding."""
        tokens, cells = self.norms[0](text), self.norms[1](regions)
        text = text + self.across[0](tokens, cells, cells, need_weights=False)[0]
        regions = (
            regions
            + self.across[1](cells, tokens, tokens, key_padding_mask=padding, need_weights=False)[0]
        )
        text, regions = text + self.feeds[0](text), regions + self.feeds[1](regions)
        return self.within[0](text, src_key_padding_mask=padding), self.within[1](regions)


@MODELS.register_module()
class TwoStreams(WordsAndRegions):
    """Text layers, then co-attention blocks, as in ViLBERT.

    The image stream's first token is the mean of its regions. The [CLS] output, which the matching
    head reads, is the product of both streams' first tokens (Sec. 3.1).

    Args:
        text_depth: layers of the text alone.
        depth: co-attention blocks.
        num_heads: heads of each attention.
        kwargs: see :class:`WordsAndRegions`.
    """

    def __init__(
        self,
        *args: Any,
        text_depth: int = 2,
        depth: int = 2,
        num_heads: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        (dims,) = self.embed_dims
        self.text_layers = nn.ModuleList(layer(dims, num_heads) for _ in range(text_depth))
        self.blocks = nn.ModuleList(CoAttention(dims, num_heads) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(dims) for _ in range(2))

    def encode_pair(
        self,
        image: torch.Tensor,
        token_ids: torch.Tensor,
        text_mask: torch.Tensor | None = None,
        cls_only: bool = False,
    ) -> PairFeatures:
        """See :meth:`OneStream.encode_pair`."""
        regions, size = self._regions(image)
        padding = None if text_mask is None else ~text_mask
        text = self.text(self.words(token_ids))
        for text_layer in self.text_layers:
            text = text_layer(text, src_key_padding_mask=padding)
        for block in self.blocks:
            text, regions = block(text, regions, padding)
        text, regions = self.norms[0](text), self.norms[1](regions)
        both = text[:, :1] * regions[:, :1]
        cells = regions[:, 1:].transpose(1, 2).unflatten(2, size)
        return PairFeatures((cells,), (torch.cat((both, text[:, 1:]), 1),))

    def encode_image(self, image: torch.Tensor) -> tuple[torch.Tensor]:
        """One map (B, C, h, w) of an image alone, without co-attention."""
        regions, size = self._regions(image)
        for block in self.blocks:
            within: Any = block
            regions = within.within[1](regions)
        return (self.norms[1](regions)[:, 1:].transpose(1, 2).unflatten(2, size),)

    def _regions(self, image: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        features, boxes, size = self.regions(image)
        features = self.located(features, boxes)
        return torch.cat((features.mean(1, keepdim=True), features), 1), size
