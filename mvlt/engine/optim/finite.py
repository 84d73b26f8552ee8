"""Keeps losses that are infinite or NaN away from the weights."""

from typing import Any

import torch
from mmengine.dist import all_reduce
from torch import nn

from mvlt.mmengine_private import accumulation


class FiniteOptimWrapper:
    """An optimizer wrapper that skips steps whose loss is not finite on every process.

    Args:
        wrapper: any OptimWrapper.
        model: the trained model.
        later: let the optimizer skip the step on the GPU, without waiting for the loss. None = on
            a GPU, if the optimizer can.

    Attributes:
        finite: float32, scalar: 1 = the last loss was finite everywhere.
        skipped: whether the last step was skipped; always False with ``later``.

    Raises:
        ValueError: ``later`` is true, and the optimizer cannot skip a step.
    """

    def __init__(self, wrapper: Any, model: nn.Module, later: bool | None = None) -> None:
        optimizer: Any = getattr(wrapper, 'optimizer', None)
        fused = all(group.get('fused') for group in getattr(optimizer, 'param_groups', [{}]))
        whole = not any(hasattr(weight, 'full_tensor') for weight in model.parameters())
        able = fused and whole and accumulation(wrapper) == 1
        if later and not able:
            raise ValueError(
                'train_cfg.async_metrics needs a fused optimizer '
                '(optim_wrapper.optimizer.fused=True), no accumulation of gradients '
                '(optim_wrapper.accumulative_counts=1) and no sharded weights'
            )
        self.wrapper = wrapper
        self.later = able and next(model.parameters()).is_cuda if later is None else later
        self.finite: torch.Tensor
        self.skipped = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapper, name)

    def update_params(self, loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """Update the weights, unless the loss of any process is not finite."""
        self.finite = torch.isfinite(loss.detach()).float()
        all_reduce(self.finite, 'min')
        if self.later:
            self.wrapper.optimizer.found_inf = 1 - self.finite
        else:
            self.skipped = not bool(self.finite)
        if not self.skipped:
            self.wrapper.update_params(loss, *args, **kwargs)
