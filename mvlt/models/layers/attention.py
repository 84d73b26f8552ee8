"""Attention over image and text tokens together.

Legend: B batch, N image tokens = H x W, R image tokens after reduction, T text tokens, C channels,
D channels of one attention head.
"""

import torch
import torch.nn.functional as F
from torch import nn


class SpatialReductionAttention(nn.Module):
    """Multi-head self-attention whose keys and values see a smaller image (PVT, Sec. 3.3).

    Every token asks; the image is answered for by H/r x W/r tokens, which a strided convolution
    makes, and the text by all of its tokens.
    """

    def __init__(self, dims: int, num_heads: int, reduction: int) -> None:
        super().__init__()
        if dims % num_heads:
            raise ValueError(f'{num_heads} attention heads do not divide {dims} channels')
        self.num_heads = num_heads
        self.reduction = reduction
        self.query = nn.Linear(dims, dims)
        self.key_value = nn.Linear(dims, 2 * dims)
        self.out = nn.Linear(dims, dims)
        if reduction > 1:
            self.reduce = nn.Conv2d(dims, dims, reduction, reduction)
            self.reduce_norm = nn.LayerNorm(dims)

    def forward(
        self, x: torch.Tensor, size: tuple[int, int], key_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Attend.

        Args:
            x: (B, N + T, C), image tokens first.
            size: H, W of the image tokens.
            key_mask: bool (B, 1, 1, R + T), True = may be attended to; None = all may.

        Returns:
            (B, N + T, C).
        """
        queries_BSC = self.query(x)
        keys_BKC, values_BKC = self.key_value(self._reduced(x, size)).chunk(2, dim=-1)
        attended = F.scaled_dot_product_attention(
            self._split(queries_BSC), self._split(keys_BKC), self._split(values_BKC), key_mask
        )
        return self.out(attended.transpose(1, 2).flatten(2))

    def _reduced(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        if self.reduction == 1:
            return x
        image_BNC, text_BTC = x.split((size[0] * size[1], x.shape[1] - size[0] * size[1]), dim=1)
        image_BCHW = image_BNC.transpose(1, 2).unflatten(2, size)
        image_BRC = self.reduce_norm(self.reduce(image_BCHW).flatten(2).transpose(1, 2))
        return torch.cat((image_BRC, text_BTC), dim=1)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
