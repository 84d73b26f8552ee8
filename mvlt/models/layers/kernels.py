"""Kernels that differ between CPU and GPU.

Legend: B batch, S queries, K keys, C channels, D channels of an attention head.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

_BLOCK = 2048  # rows, 2 MB with 512 hidden features in bfloat16


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
