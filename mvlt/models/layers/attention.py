"""Attention over image and text tokens together.

Legend: B batch, N image tokens = H x W, R image tokens after reduction, T text tokens, S queries,
K keys, C channels, D channels of an attention head.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

_BLOCK = 2048  # rows, 2 MB with 512 hidden features in bfloat16


class SpatialReductionAttention(nn.Module):
    """Multi-head self-attention with keys and values of a smaller image (PVT, Sec. 3.3).

    Every token is a query. Keys are H/r x W/r image tokens, from a strided convolution, and all
    text tokens.
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
        queries: slice = slice(None),
    ) -> torch.Tensor:
        """Attend.

        Args:
            x: (B, N + T, C), image tokens first.
            size: H, W of the image tokens; (0, 0) without an image.
            key_mask: bool (B, 1, 1, R + T), True = attend; None = attend to all.
            queries: the S tokens to compute; all by default.

        Returns:
            (B, S, C).
        """
        queries_BSC = self.query(x[:, queries])
        keys_BKC, values_BKC = self.key_value(self._reduced(x, size)).chunk(2, dim=-1)
        attended = attend(
            self._split(queries_BSC), self._split(keys_BKC), self._split(values_BKC), key_mask
        )
        return self.out(attended.transpose(1, 2).flatten(2))

    def weights(
        self, x: torch.Tensor, size: tuple[int, int], key_mask: torch.Tensor | None, query: int
    ) -> torch.Tensor:
        """Attention of token ``query`` to each key, for plots: (B, heads, R + T), rows sum to 1."""
        query_BH1D = self._split(self.query(x[:, query : query + 1]))
        keys_BHKD = self._split(self.key_value(self._reduced(x, size)).chunk(2, dim=-1)[0])
        return attention_weights(query_BH1D, keys_BHKD, key_mask)[:, :, 0]

    def key_grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the keys of an image of ``size`` = (H, W) tokens."""
        return size[0] // self.reduction, size[1] // self.reduction

    def image_keys(self, size: tuple[int, int]) -> int:
        """R, the number of image keys."""
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
    """Attention to the image map averaged to a fixed size, at linear cost (PVT-v2, Sec. 3.2)."""

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


def attention_weights(
    queries: torch.Tensor, keys: torch.Tensor, key_mask: torch.Tensor | None
) -> torch.Tensor:
    """(B, heads, S, D), (B, heads, K, D), bool (B, 1, 1, K) -> (B, heads, S, K), rows sum to 1."""
    logits = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(2, 3)
    if key_mask is not None:
        logits = logits.masked_fill(~key_mask, float('-inf'))
    return logits.softmax(-1)


def attend(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, key_mask: torch.Tensor | None
) -> torch.Tensor:
    """Softmax attention: PyTorch's fused kernel, but two products for bfloat16 on a CPU.

    There the kernel leaves the matrix units idle: with few keys two products take half of its
    time, and a quarter with gradients. Logits and weights are rounded to bfloat16: an error of
    about 0.5 % instead of 0.2 %.
    """
    if queries.device.type == 'cpu' and queries.dtype is torch.bfloat16:
        return attention_weights(queries, keys, key_mask) @ values
    return F.scaled_dot_product_attention(queries, keys, values, key_mask)


def by_rows(compute: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Apply ``compute``, which treats rows independently: (..., C) -> (..., C).

    On a CPU without gradients rows are computed in blocks whose hidden features stay in the cache;
    not in a compiled or exported graph, which must not depend on the number of rows.
    """
    if torch.is_grad_enabled() or x.device.type != 'cpu' or torch.compiler.is_compiling():
        return compute(x)
    blocks = x.flatten(0, -2).split(_BLOCK)
    return torch.cat([compute(block) for block in blocks]).view_as(x)
