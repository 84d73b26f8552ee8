"""Training with weights, gradients and optimizer states spread over the processes."""

from typing import Any

import torch
from mmengine._strategy import FSDPStrategy
from torch.distributed.fsdp import FullOptimStateDictConfig, FullyShardedDataParallel

from mvlt.registry import STRATEGIES


@STRATEGIES.register_module()
class ShardedStrategy(FSDPStrategy):
    """mmengine's FSDPStrategy, on CPUs too, with one whole checkpoint and able to resume from it.

    mmengine hands the optimizer's state over in an order that PyTorch has changed since.

    Args:
        model_wrapper: arguments of MMFullyShardedDataParallel.
        kwargs: FSDPStrategy's, but for ``state_dict_cfg``: its checkpoints of pieces hold classes,
            which are not loaded from a file.
    """

    def __init__(self, *, model_wrapper: dict | None = None, **kwargs: Any) -> None:
        wrapper = dict(type='MMFullyShardedDataParallel', **(model_wrapper or {}))
        gpu = torch.cuda.is_available()
        if not gpu:
            wrapper['device_id'] = 'cpu'
        super().__init__(state_dict_cfg='full', model_wrapper=wrapper, **kwargs)
        # "offloading" on a CPU copies nothing: both moments would be one buffer
        self.optim_state_dict_config = FullOptimStateDictConfig(rank0_only=True, offload_to_cpu=gpu)

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Give each process its piece of the optimizer's state."""
        optimizer = self.optim_wrapper.optimizer
        piece = FullyShardedDataParallel.optim_state_dict_to_load(self.model, optimizer, state_dict)
        self.optim_wrapper.load_state_dict(piece)
