"""Checks that a step never waits for its device."""

import contextlib
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
# numbers of the host, and sizes that depend on values: either is read back from the device
READING = {
    *(aten._local_scalar_dense, aten.nonzero, aten.nonzero_numpy, aten.masked_select, aten.equal),
    *(aten.is_nonzero, aten._unique2, aten.unique_dim, aten.repeat_interleave.Tensor),
}


class NothingWaits(TorchDispatchMode):
    """Refuses steps on the device ``meta`` that would wait on a real device.

    Reading values fails on ``meta``. Sizes that depend on values and blocking copies to the device
    are refused, too. What the host does before the batch arrives is not checked.
    """

    def __enter__(self) -> 'NothingWaits':
        # autocast does not know this device
        self._patches = [
            mock.patch('torch.autocast', lambda *args, **kwargs: contextlib.nullcontext()),
            mock.patch('torch.is_autocast_enabled', lambda *args: False),
        ]
        for patch in self._patches:
            patch.start()
        return super().__enter__()

    def __exit__(self, *args: Any) -> None:
        for patch in self._patches:
            patch.stop()
        super().__exit__(*args)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [
            tensor for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, torch.Tensor)
        ]
        on_device = any(tensor.is_meta for tensor in tensors)
        if on_device and (func in READING or func.overloadpacket in READING):
            raise AssertionError(f'{func} reads values back from the device')
        chosen = func.overloadpacket in (aten.index, aten.index_put, aten.index_put_)
        if (
            on_device
            and chosen
            and any(tensor is not None and tensor.dtype is torch.bool for tensor in args[1])
        ):
            raise AssertionError(f'{func} by a mask: how many there are is read back')
        result = func(*args, **kwargs)
        if func is aten._to_copy.default:
            arrived = result.is_meta and not args[0].is_meta
            if arrived and args[0].ndim and not kwargs.get('non_blocking'):
                raise AssertionError('a copy to the device waits for it: non_blocking=True')
        return result
