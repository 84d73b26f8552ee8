"""Attention over image and text tokens together.

Legend: B batch, N image tokens = H x W, R image tokens after reduction, T text tokens, C channels,
D channels of one attention head.
"""

import torch
import torch.nn.functional as F
from torch import nn

from mvlt.models.layers.kernels import attend, attention_weights


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
        self,
        x: torch.Tensor,
        size: tuple[int, int],
        key_mask: torch.Tensor | None,
        asking: slice = slice(None),
    ) -> torch.Tensor:
        """Attend.

        Args:
            x: (B, N + T, C), image tokens first.
            size: H, W of the image tokens, 0 and 0 where there are none.
            key_mask: bool (B, 1, 1, R + T), True = may be attended to; None = all may.
            asking: the tokens whose answers are wanted; all by default.

        Returns:
            (B, S, C), S the number of asking tokens.
        """
        queries_BSC = self.query(x[:, asking])
        keys_BKC, values_BKC = self.key_value(self._reduced(x, size)).chunk(2, dim=-1)
        attended = attend(
            self._split(queries_BSC), self._split(keys_BKC), self._split(values_BKC), key_mask
        )
        return self.out(attended.transpose(1, 2).flatten(2))

    def weights(
        self, x: torch.Tensor, size: tuple[int, int], key_mask: torch.Tensor | None, query: int
    ) -> torch.Tensor:
        """How much token ``query`` attends to each key: (B, heads, R + T), each row sums to 1.

        Args as of :meth:`forward`, which never makes these weights; for pictures of them.
        """
        asked_BH1D = self._split(self.query(x[:, query : query + 1]))
        keys_BHKD = self._split(self.key_value(self._reduced(x, size)).chunk(2, dim=-1)[0])
        return attention_weights(asked_BH1D, keys_BHKD, key_mask)[:, :, 0]

    def key_grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the keys that an image of ``size`` = (H, W) tokens gives."""
        return size[0] // self.reduction, size[1] // self.reduction

    def image_keys(self, size: tuple[int, int]) -> int:
        """R, their number."""
        rows, columns = self.key_grid(size)
        return 0 if 0 in size else rows * columns

    def _reduced(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        if self.reduction == 1 or 0 in size:
            return x
        image_BNC, text_BTC = x.tensor_split((size[0] * size[1],), dim=1)
        image_BRC = self._shrink(image_BNC.transpose(1, 2).unflatten(2, size))
        return torch.cat((image_BRC, text_BTC), dim=1)

    def _shrink(self, image: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> keys (B, R, C)."""
        return self.reduce_norm(self.reduce(image).flatten(2).transpose(1, 2))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


class PooledAttention(SpatialReductionAttention):
    """The image's keys are its map averaged to a fixed size (PVT-v2, Sec. 3.2, linear SRA).

    Its cost grows linearly with the number of image tokens.
    """

    def __init__(self, dims: int, num_heads: int, pool_size: int) -> None:
        super().__init__(dims, num_heads, reduction=1)
        self.pool_size = pool_size
        self.reduce = nn.Conv2d(dims, dims, 1)
        self.reduce_norm = nn.LayerNorm(dims)

    def key_grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """The same for every image."""
        return self.pool_size, self.pool_size

    def _reduced(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        if 0 in size:
            return x
        image_BNC, text_BTC = x.tensor_split((size[0] * size[1],), dim=1)
        pooled = F.adaptive_avg_pool2d(image_BNC.transpose(1, 2).unflatten(2, size), self.pool_size)
        return torch.cat((F.gelu(self._shrink(pooled)), text_BTC), dim=1)
