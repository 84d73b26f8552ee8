"""From pixels and token ids to the hidden features of a stage (paper Eq. 1 and 2).

Legend: B batch, N image tokens = H x W, T text tokens, C channels.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class TokenEmbedding(nn.Module):
    """Token embeddings, as BERT: token + position, LayerNorm, dropout.

    A caption is one segment: a converter adds BERT's segment embedding to the positions.
    """

    def __init__(self, vocab_size: int, dims: int, max_positions: int, dropout: float) -> None:
        super().__init__()
        self.words = nn.Embedding(vocab_size, dims)
        self.positions = nn.Embedding(max_positions, dims)
        self.norm = nn.LayerNorm(dims, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """(B, T) int64 -> (B, T, dims)."""
        positions = self.positions.weight[: token_ids.shape[1]]
        return self.dropout(self.norm(self.words(token_ids) + positions))


class TextEmbedding(nn.Module):
    """Text of the stage before -> hidden features of this stage, Eq. 1: linear + position.

    The LayerNorm between them is the released code's.
    """

    def __init__(self, in_dims: int, dims: int, context_length: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dims, dims)
        self.norm = nn.LayerNorm(dims)
        self.positions = nn.Parameter(torch.zeros(1, context_length, dims))
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """(B, T, in_dims) -> (B, T, dims)."""
        return self.norm(self.linear(text)) + self.positions[:, : text.shape[1]]


class ImagePositions(nn.Module):
    """Learnt positions of an H x W grid of patches, resized bilinearly to other grids.

    Positions are resized on loading, and in the forward pass for images of another size.
    """

    def __init__(self, size: tuple[int, int], dims: int) -> None:
        super().__init__()
        self.grid = nn.Parameter(torch.zeros(1, dims, *size))
        nn.init.trunc_normal_(self.grid, std=0.02)

    def forward(self, size: tuple[int, int]) -> torch.Tensor:
        """Positions (1, N, C) for a grid of ``size`` = (H, W)."""
        return _resize_grid(self.grid, size).flatten(2).transpose(1, 2)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        stored = state_dict.get(prefix + 'grid')
        if stored is not None and stored.ndim == 4:
            state_dict[prefix + 'grid'] = _resize_grid(stored, self.grid.shape[2:])
        super()._load_from_state_dict(state_dict, prefix, *args)


def _resize_grid(grid: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    if grid.shape[2:] == tuple(size):
        return grid
    return F.interpolate(grid.float(), size=tuple(size), mode='bilinear').to(grid.dtype)


class PatchEmbedding(nn.Module):
    """Image map of the stage before -> hidden features of this stage, Eq. 2.

    A convolution with kernel = stride, LayerNorm (as PVT; ``norm=False``: none, as ViT), positions.
    """

    def __init__(
        self, in_dims: int, dims: int, patch_size: int, grid: tuple[int, int], norm: bool = True
    ) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_dims, dims, patch_size, patch_size)
        self.norm = nn.LayerNorm(dims) if norm else nn.Identity()
        self.positions = ImagePositions(grid, dims)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """(B, in_dims, H', W') -> tokens (B, H x W, dims) and (H, W) = (H', W') / patch size."""
        image_BCHW = self.projection(image)
        size = (image_BCHW.shape[2], image_BCHW.shape[3])
        return self.norm(image_BCHW.flatten(2).transpose(1, 2)) + self.positions(size), size


class OverlapPatchEmbedding(nn.Module):
    """A convolution over almost two patches, and LayerNorm (PVT-v2, Sec. 3.3).

    Zero padding, here and in the layers, replaces learnt positions.
    """

    def __init__(self, in_dims: int, dims: int, patch_size: int) -> None:
        super().__init__()
        side = 2 * patch_size - 1
        self.projection = nn.Conv2d(in_dims, dims, side, patch_size, padding=patch_size - 1)
        self.norm = nn.LayerNorm(dims)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """As :class:`PatchEmbedding`."""
        image_BCHW = self.projection(image)
        size = (image_BCHW.shape[2], image_BCHW.shape[3])
        return self.norm(image_BCHW.flatten(2).transpose(1, 2)), size
