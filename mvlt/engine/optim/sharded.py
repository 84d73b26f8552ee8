"""Training with weights, gradients and optimizer states sharded over processes."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

from mvlt.mmengine_private import WrappingStrategy
from mvlt.registry import STRATEGIES


@STRATEGIES.register_module()
class ShardedStrategy(WrappingStrategy):
    """PyTorch's ``fully_shard`` (FSDP2), on CPUs too.

    A checkpoint is a single file with the usual names, written by the first process.

    Args:
        parts: class names of modules whose weights are gathered and freed together; other weights
            stay gathered for the whole step.
        kwargs: DDPStrategy's.
    """

    def __init__(self, *, parts: Sequence[str] = ('EncoderStage',), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = tuple(parts)
        self._gathered: tuple[dict, dict] = ({}, {})

    def wrap(self, model: nn.Module) -> Any:
        """Shard the parts, then the rest of the model."""
        device = get_device()
        model = self.convert_model(model.to(device))
        mesh = init_device_mesh(device.split(':')[0], (get_world_size(),))
        for part in model.modules():
            if type(part).__name__ in self.parts:
                fully_shard(part, mesh=mesh)
                register_fsdp_forward_method(part, 'cls')
        return fully_shard(model, mesh=mesh)

    def convert_model(self, model: nn.Module) -> nn.Module:
        """DDPStrategy's on GPUs; on CPUs PyTorch has no ``sync_bn``."""
        return super().convert_model(model) if torch.cuda.is_available() else model

    def save_checkpoint(self, filename: str, **kwargs: Any) -> None:
        """Gather on all processes, write on the first; args of DDPStrategy."""
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        self._gathered = get_state_dict(self.model, self.optim_wrapper.optimizer, options=options)
        super().save_checkpoint(filename, **kwargs)
        self._gathered = ({}, {})

    def model_state_dict(self) -> dict:
        """The whole model's, on the first process."""
        return self._gathered[0]

    def optim_state_dict(self) -> dict:
        """The state of all weights by name, on the first process."""
        return self._gathered[1]

    def load_model_state_dict(
        self,
        state_dict: dict,
        *,
        strict: bool = False,
        revise_keys: Sequence[tuple[str, str]] = ((r'^module\.', ''),),
    ) -> None:
        """Load each process's shards of a whole model's weights."""
        for pattern, replacement in revise_keys:
            state_dict = {
                re.sub(pattern, replacement, name): weight for name, weight in state_dict.items()
            }
        options = StateDictOptions(full_state_dict=True, strict=strict)
        set_model_state_dict(self.model, state_dict, options=options)

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load each process's shards of the optimizer's state."""
        options = StateDictOptions(full_state_dict=True)
        optimizer = self.optim_wrapper.optimizer
        set_optimizer_state_dict(self.model, optimizer, state_dict, options=options)
