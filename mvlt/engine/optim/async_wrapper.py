"""mmengine's OptimWrapper, which does not wait for the device."""

from typing import Any

import torch
from mmengine.optim import OptimWrapper

from mvlt.engine.async_metrics import AsyncMetrics
from mvlt.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AsyncOptimWrapper(OptimWrapper):
    """The norm of clipped gradients is logged a step later where a GPU has made it."""

    def step(self, **kwargs: Any) -> None:
        """Clip, then update the weights; args of the optimizer's step."""
        if self.clip_grad_kwargs:
            self._clip()
        self.optimizer.step(**kwargs)

    def _clip(self) -> None:
        weights = [
            weight
            for group in self.optimizer.param_groups
            for weight in group['params']
            if weight.requires_grad and weight.grad is not None
        ]
        norm: Any = self.clip_func(weights, **self.clip_grad_kwargs) if weights else None
        if hasattr(norm, 'full_tensor'):  # of gradients in pieces
            norm = norm.full_tensor()
        if isinstance(norm, torch.Tensor) and norm.is_cuda:
            norm = self._late.swap(norm)
        if norm is not None:
            self.message_hub.update_scalar(f'train/{self.grad_name}', float(norm))

    @property
    def _late(self) -> AsyncMetrics:
        # not in the constructor, whose many arguments are mmengine's
        return self.__dict__.setdefault('_numbers', AsyncMetrics())
