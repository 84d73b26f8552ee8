"""A loss that is infinite or no number never reaches the weights."""

from typing import Any

import torch
from mmengine.dist import all_reduce
from torch import nn

from mvlt.mmengine_private import accumulation


class FiniteOptimWrapper:
    """Lets an optimiser wrapper train on losses that are finite on every process.

    It stands around any wrapper of mmengine's or ours, and is what ``train_step`` is given.

    Args:
        wrapper: what updates the weights.
        model: whose weights they are.
        later: the optimizer leaves a step out by itself, so that nobody waits for the device. None
            = on a GPU, where it can.

    Attributes:
        finite: of the last loss, float32, a scalar on its device: 1 = finite everywhere.
        skipped: whether the last step was left out; False with ``later``: it is not known yet.

    Raises:
        ValueError: ``later`` is true, and the optimizer cannot leave a step out.
    """

    def __init__(self, wrapper: Any, model: nn.Module, later: bool | None = None) -> None:
        optimizer: Any = getattr(wrapper, 'optimizer', None)
        fused = all(group.get('fused') for group in getattr(optimizer, 'param_groups', [{}]))
        whole = not any(hasattr(weight, 'full_tensor') for weight in model.parameters())
        able = fused and whole and accumulation(wrapper) == 1
        if later and not able:
            raise ValueError(
                'train_cfg.async_metrics needs an optimizer that leaves a step out by itself '
                '(optim_wrapper.optimizer.fused=True), no accumulation of gradients '
                '(optim_wrapper.accumulative_counts=1) and no weights in pieces'
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
