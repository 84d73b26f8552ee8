"""All private names of mmengine 0.10.12 that mvlt reads or replaces.

Check this file when mmengine is updated: no other module of mvlt uses its private names.
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


# Runner: it keeps its arguments under private names, and asking for a loop builds it.
def is_resumed(runner: Runner) -> bool:
    """Whether a training resumes from a checkpoint."""
    return bool(runner._resume)


def loaded_from(runner: Runner) -> str | None:
    """The checkpoint that a run loads."""
    return runner._load_from


def built_loops(runner: Runner) -> dict[str, BaseLoop]:
    """'train', 'val', 'test' -> the loops built so far."""
    loops = {name: getattr(runner, f'_{name}_loop', None) for name in ('train', 'val', 'test')}
    return {name: loop for name, loop in loops.items() if loop and not isinstance(loop, dict)}


def set_test_loop(runner: Runner, loop: BaseLoop) -> None:
    """Let ``runner.test()`` run a loop that no config describes."""
    runner._test_loop = loop


class CompilingRunner(Runner):
    """A Runner that compiles the model by a public method."""

    def compile_model(self, target: str) -> None:
        """Compile ``target``, a method of the model."""
        super()._maybe_compile(target)

    def _maybe_compile(self, target: str) -> None:
        self.compile_model(target)


# Loops: their counters have no setter.
def count_step(loop: BaseLoop) -> None:
    """Count a step."""
    loop._iter += 1  # type: ignore[attr-defined]


def count_epoch(loop: BaseLoop) -> None:
    """Count an epoch."""
    loop._epoch += 1  # type: ignore[attr-defined]


# OptimWrapper: the state of gradient accumulation has no setter, its length no getter.
def accumulation(wrapper: Any) -> int:
    """Steps whose gradients are accumulated, 1 = none are."""
    return getattr(wrapper, '_accumulative_counts', 1)


def set_step(wrapper: OptimWrapper, step: int) -> None:
    """Set the number of steps made, ``wrapper.inner_count``."""
    wrapper._inner_count = step


# Strategies: the whole package is private.
class WrappingStrategy(DDPStrategy):
    """A strategy that wraps the model by a public method."""

    def wrap(self, model: nn.Module) -> Any:
        """The model for training."""
        return super()._wrap_model(model)

    def _wrap_model(self, model: nn.Module) -> Any:
        return self.wrap(model)


# CheckpointHook: it deletes the old file before the new one is written.
class StepwiseCheckpointHook(CheckpointHook):
    """A CheckpointHook that saves by public methods."""

    file_backend: Any

    def save_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save a checkpoint after ``step`` steps or epochs."""
        super()._save_checkpoint_with_step(runner, step, meta)

    def save_best_of(self, runner: Runner, metrics: dict) -> None:
        """Save the weights if ``metrics`` are the best so far."""
        super()._save_best_checkpoint(runner, metrics)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        self.save_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        self.save_best_of(runner, metrics)


# BaseDataset: it cannot be empty, and its metainfo is a copy.
class MaybeEmptyDataset(BaseDataset):
    """BaseDataset that may have no record."""

    def _serialize_data(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.data_list:
            return np.empty(0, np.uint8), np.empty(0, np.int64)
        return super()._serialize_data()

    def add_metainfo(self, **more: Any) -> None:
        """Add entries to :attr:`metainfo`."""
        self._metainfo.update(more)


# CheckpointLoader and Config: the schemes and the folder of bases are private.
def replace_loaders(loader: Callable) -> None:
    """Let ``loader`` read every scheme of addresses."""
    for prefix in list(CheckpointLoader._schemes):
        CheckpointLoader.register_scheme(prefixes=prefix, loader=loader, force=True)


@contextmanager
def bases_in(package: str, folder: Path) -> Iterator[None]:
    """Let ``with read_base(): from <package>.configs.x import *`` read ``folder``/configs/x.py.

    mmengine looks into the package's own folder.
    """
    installed = reading.get_installed_path

    def path(name: str) -> str:
        return str(folder) if name == package else installed(name)

    reading.get_installed_path = path
    try:
        yield
    finally:
        reading.get_installed_path = installed
