"""One transformer layer over image and text tokens."""

import torch
from mmcv.cnn.bricks import DropPath
from torch import nn

from .attention import SpatialReductionAttention


class EncoderLayer(nn.Module):
    """Pre-norm attention and MLP, each with a residual (paper Sec. 3.1; layout as PVT)."""

    def __init__(
        self, dims: int, num_heads: int, mlp_ratio: float, reduction: int, drop_path: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims, eps=1e-6)
        self.attention = SpatialReductionAttention(dims, num_heads, reduction)
        self.norm2 = nn.LayerNorm(dims, eps=1e-6)
        hidden = int(dims * mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(dims, hidden), nn.GELU(), nn.Linear(hidden, dims))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(
        self, x: torch.Tensor, size: tuple[int, int], key_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Args and result as of :class:`SpatialReductionAttention`."""
        x = x + self.drop_path(self.attention(self.norm1(x), size, key_mask))
        return x + self.drop_path(self.mlp(self.norm2(x)))
