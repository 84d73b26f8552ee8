"""One transformer layer over image and text tokens.

Legend: B batch, N image tokens = H x W, T text tokens, C channels.
"""

import torch
from mmcv.cnn.bricks import DropPath
from torch import nn

from mvlt.models.layers.attention import by_rows


class MLP(nn.Sequential):
    """Linear, GELU, linear over the last dimension: (..., C) -> (..., C)."""

    def __init__(self, dims: int, hidden: int) -> None:
        super().__init__(nn.Linear(dims, hidden), nn.GELU(), nn.Linear(hidden, dims))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., C) -> (..., C)."""
        return by_rows(super().forward, x)


class EncoderLayer(nn.Module):
    """Pre-norm attention and MLP, each with a residual (paper Sec. 3.1; layout as PVT).

    Args:
        dims: C.
        attention: (x, size, key_mask) -> x; has ``image_keys(size)``.
        mlp_ratio: hidden size of the MLP in units of C.
        drop_path: share of samples, 0 to 1, that skip the layer in training.
    """

    def __init__(self, dims: int, attention: nn.Module, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims, eps=1e-6)
        self.attention = attention
        self.norm2 = nn.LayerNorm(dims, eps=1e-6)
        self.mlp = MLP(dims, int(dims * mlp_ratio))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(
        self, x: torch.Tensor, size: tuple[int, int], key_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Args and result as of :class:`SpatialReductionAttention`."""
        x = x + self.drop_path(self.attention(self.norm1(x), size, key_mask))
        return x + self.drop_path(self.feed_forward(self.norm2(x), size))

    def cls(
        self, x: torch.Tensor, size: tuple[int, int], key_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """[CLS] of :meth:`forward` alone, (B, 1, C)."""
        first = slice(size[0] * size[1], size[0] * size[1] + 1)  # of the text tokens
        cls = x[:, first] + self.drop_path(self.attention(self.norm1(x), size, key_mask, first))
        return cls + self.drop_path(self.mlp(self.norm2(cls)))

    def feed_forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(B, N + T, C) -> (B, N + T, C); subclasses may change it for image tokens."""
        return self.mlp(x)
