"""All that mvlt reads or replaces of mmengine's private names, as mmengine 0.10.12 has them.

When mmengine is updated, read this file beside it: no other module of mvlt names what begins with
an underscore there. Of the inferencers only what mmengine documents is replaced.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mmengine._strategy import DDPStrategy
from mmengine.config import config as reading
from mmengine.dataset import BaseDataset
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, CheckpointLoader, Runner
from torch import nn

# Runner: what it was given is kept under private names alone, and asking for a loop builds it.


def is_resumed(runner: Runner) -> bool:
    """Whether a training goes on from a checkpoint."""
    return bool(runner._resume)


def loaded_from(runner: Runner) -> str | None:
    """The checkpoint that a run was told to load."""
    return runner._load_from


def built_loops(runner: Runner) -> dict[str, BaseLoop]:
    """'train', 'val', 'test' -> those loops that are built by now."""
    loops = {name: getattr(runner, f'_{name}_loop', None) for name in ('train', 'val', 'test')}
    return {name: loop for name, loop in loops.items() if loop and not isinstance(loop, dict)}


class CompilingRunner(Runner):
    """Asks a method with a public name how the model is compiled: there is no hook for it."""

    def compile_model(self, target: str) -> None:
        """mmengine's way: ``target``, a method of the model, as a whole."""
        super()._maybe_compile(target)

    def _maybe_compile(self, target: str) -> None:
        self.compile_model(target)


# Loops: they count by attributes that have no setter.


def count_step(loop: BaseLoop) -> None:
    """One step more."""
    loop._iter += 1  # type: ignore[attr-defined]


def count_epoch(loop: BaseLoop) -> None:
    """One epoch more."""
    loop._epoch += 1  # type: ignore[attr-defined]


# OptimWrapper: how far the accumulation of gradients is cannot be set, nor its length be read.


def accumulation(wrapper: Any) -> int:
    """Steps whose gradients are added up, 1 of what accumulates none."""
    return getattr(wrapper, '_accumulative_counts', 1)


def set_step(wrapper: OptimWrapper, step: int) -> None:
    """Go on behind ``step`` steps; ``wrapper.inner_count`` reads them."""
    wrapper._inner_count = step


# Strategies: the package is private as a whole, and so is what wraps a model.


class WrappingStrategy(DDPStrategy):
    """Asks a method with a public name to wrap the model."""

    def wrap(self, model: nn.Module) -> Any:
        """The model as it is trained."""
        return super()._wrap_model(model)

    def _wrap_model(self, model: nn.Module) -> Any:
        return self.wrap(model)


# CheckpointHook: it deletes the old file before the new one is written.


class StepwiseCheckpointHook(CheckpointHook):
    """Asks methods with public names to save."""

    file_backend: Any

    def save_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save what a resumed run needs, after ``step`` steps or epochs."""
        super()._save_checkpoint_with_step(runner, step, meta)

    def save_best_of(self, runner: Runner, metrics: dict) -> None:
        """Save the weights, where ``metrics`` are the best so far."""
        super()._save_best_checkpoint(runner, metrics)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        self.save_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        self.save_best_of(runner, metrics)


# BaseDataset: it cannot be empty, and its metainfo is read as a copy.


class MaybeEmptyDataset(BaseDataset):
    """BaseDataset, which may have no record."""

    def _serialize_data(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.data_list:
            return np.empty(0, np.uint8), np.empty(0, np.int64)
        return super()._serialize_data()

    def add_metainfo(self, **more: Any) -> None:
        """Add to what :attr:`metainfo` gives."""
        self._metainfo.update(more)


# CheckpointLoader and Config: nothing public lists the schemes, or says where bases lie.


def replace_loaders(loader: Callable) -> None:
    """Let every known scheme of addresses be read by ``loader``."""
    for prefix in list(CheckpointLoader._schemes):
        CheckpointLoader.register_scheme(prefixes=prefix, loader=loader, force=True)


@contextmanager
def bases_in(package: str, folder: Path) -> Iterator[None]:
    """Let ``with read_base(): from <package>.configs.x import *`` read ``folder``/configs/x.py.

    mmengine looks into the package's own folder, where only a link or a copy could lie.
    """
    installed = reading.get_installed_path

    def path(name: str) -> str:
        return str(folder) if name == package else installed(name)

    reading.get_installed_path = path
    try:
        yield
    finally:
        reading.get_installed_path = installed
