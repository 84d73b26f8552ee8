"""Training in bfloat16, on a GPU and on a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mvlt.engine.optim.async_wrapper import AsyncOptimWrapper
from mvlt.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(AsyncOptimWrapper):
    """Forward passes under bfloat16 autocast; weights and their updates stay float32.

    bfloat16 has float32's range, so gradients need no scaling. mmengine's AmpOptimWrapper refuses
    to run on a CPU.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
