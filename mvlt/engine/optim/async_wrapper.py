"""mmengine's OptimWrapper without waiting for the GPU."""

from typing import Any

import torch
from mmengine.optim import OptimWrapper

from mvlt.engine.async_metrics import AsyncMetrics
from mvlt.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AsyncOptimWrapper(OptimWrapper):
    """Logs the norm of clipped gradients a step later on a GPU."""

    def step(self, **kwargs: Any) -> None:
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
        if hasattr(norm, 'full_tensor'):  # of sharded gradients
            norm = norm.full_tensor()
        if isinstance(norm, torch.Tensor) and norm.is_cuda:
            norm = self._late.swap(norm)
        if norm is not None:
            self.message_hub.update_scalar(f'train/{self.grad_name}', float(norm))

    @property
    def _late(self) -> AsyncMetrics:
        # not in the constructor, whose many arguments are mmengine's
        return self.__dict__.setdefault('_numbers', AsyncMetrics())
