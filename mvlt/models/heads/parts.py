"""Shared parts of the heads: layers, losses, and sums over processes."""

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from torch import nn
from torch.distributed.nn import functional as with_gradients


def linear(in_dims: int, dims: int) -> nn.Linear:
    """A linear layer, initialized as in BERT: truncated normal of 0.02, bias 0."""
    layer = nn.Linear(in_dims, dims)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


def projection(in_dims: int, dims: int) -> nn.Sequential:
    """Linear and LayerNorm, (..., in_dims) -> (..., dims): every head of the released code."""
    return nn.Sequential(linear(in_dims, dims), nn.LayerNorm(dims))


def all_gather(values: torch.Tensor) -> torch.Tensor:
    """(B, ...) of each process -> (G, ...), concatenated, with gradients to all processes."""
    if get_world_size() == 1:
        return values
    return torch.cat(with_gradients.all_gather(values))


def mean_count(chosen: torch.Tensor) -> torch.Tensor:
    """Mean over the processes of the number of True values, at least 1; a float32 scalar.

    DistributedDataParallel averages gradients over processes. A sum divided by this count gives
    the mean over all processes, as one process with the whole batch would.

    Args:
        chosen: bool, any shape.
    """
    count = chosen.sum().float()
    all_reduce(count, 'mean')
    return torch.where(count > 0, count, 1)


def class_loss(
    logits: torch.Tensor,
    classes: torch.Tensor,
    label_smoothing: float,
    mixed: tuple[torch.Tensor, float] | None = None,
) -> torch.Tensor:
    """Cross-entropy, the mean over the known classes of all processes.

    Args:
        logits: (B, classes).
        classes: int64 (B,); -1 (unknown) is ignored.
        label_smoothing: 0 to 1, share of the target that is spread over all classes.
        mixed: see :attr:`mvlt.structures.Batch.mixed`.
    """
    loss = F.cross_entropy(
        logits.float(),
        classes,
        ignore_index=-1,
        label_smoothing=label_smoothing,
        reduction='sum',
    )
    loss = loss / mean_count(classes >= 0)
    if mixed is None:
        return loss
    partner, share = mixed
    return share * loss + (1 - share) * class_loss(logits, classes[partner], label_smoothing)
