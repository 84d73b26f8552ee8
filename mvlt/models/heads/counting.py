"""Means over what some processes have more of than others."""

import torch
from mmengine.dist import all_reduce


def mean_count(chosen: torch.Tensor) -> torch.Tensor:
    """How many are chosen, the mean over the processes, 1 where none is; float32, a scalar.

    DistributedDataParallel takes the mean of the processes' gradients. Sums that are divided by
    this count, and not by each process's own, give it the mean over all that is chosen anywhere,
    as one process with the whole batch would.

    Args:
        chosen: bool, any shape.
    """
    count = chosen.sum().float()
    all_reduce(count, 'mean')
    return torch.where(count > 0, count, 1)
