"""Which way of computing the same a device takes: all that differs between CPU and GPU.

Legend: B batch, S tokens that ask, K keys, C channels, D channels of one attention head.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

_BLOCK = 2048  # rows; with 512 hidden features in bfloat16 they take 2 MB


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
    """Softmax attention by PyTorch's fused kernel, but for bfloat16 on a CPU.

    There that kernel leaves the matrix units idle: with the few keys that are left after reduction
    two plain products take half of its time, and a quarter with gradients. Logits and weights are
    rounded to bfloat16: an error of about 0.5 % where the kernel has 0.2 %.
    """
    if queries.device.type == 'cpu' and queries.dtype is torch.bfloat16:
        return attention_weights(queries, keys, key_mask) @ values
    return F.scaled_dot_product_attention(queries, keys, values, key_mask)


def by_rows(compute: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """``compute``, which treats each row alone: (..., C) -> (..., C).

    On a CPU, where no gradient is asked for, rows go through in blocks whose hidden features stay
    in the cache. A graph that is compiled or exported must not depend on how many rows there are.
    """
    if torch.is_grad_enabled() or x.device.type != 'cpu' or torch.compiler.is_compiling():
        return compute(x)
    blocks = x.flatten(0, -2).split(_BLOCK)
    return torch.cat([compute(block) for block in blocks]).view_as(x)
