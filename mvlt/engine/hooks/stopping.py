"""Stops a training with a checkpoint, and estimates its time."""

import os
import signal
import time
from types import FrameType
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.engine.hooks.checkpoint import WholeCheckpointHook
from mvlt.registry import HOOKS

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStopped(KeyboardInterrupt):
    """A training was stopped, after a checkpoint. ``signal``: the number of the signal."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number


@HOOKS.register_module()
class StopHook(Hook):
    """On Ctrl-C or SIGTERM: finishes the step, writes a checkpoint, ends the training.

    A second signal ends the training at once. A signal during a validation takes effect after the
    next step. Several processes agree on the step.

    Args:
        every: steps between two such agreements; None = 1 on CPUs, 10 on GPUs.
    """

    priority = 'LOWEST'  # after the checkpoint of the same step
    listening: 'StopHook | None' = None  # of this process; a failed run may have left its hook

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self._signal = 0
        self._process = os.getpid()
        self._before: dict[int, Any] = {}

    def before_train(self, runner: Runner) -> None:
        """Install the signal handlers; only the main thread can."""
        self._process = os.getpid()
        if StopHook.listening is not None:
            StopHook.listening._restore()
        StopHook.listening = self
        try:
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._handle)
        except ValueError:
            self._before = {}

    def after_train(self, runner: Runner) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a data worker gets the terminal's signals, too
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        self._signal = number
        self._restore()
        print('\nstopping after this step and a checkpoint; press again to end at once', flush=True)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save and end after a signal to any process.

        Raises:
            TrainingStopped: after a signal.
        """
        number = self._agreed(runner)
        if not number:
            return
        self._restore()
        hook = next((hook for hook in runner.hooks if isinstance(hook, WholeCheckpointHook)), None)
        path = hook.save_now(runner) if hook else None
        runner.logger.info(f'stopped after step {runner.iter + 1}; {path or "nothing is saved"}')
        message = f'{path} is written; run the same command with --resume' if path else ''
        raise TrainingStopped(message, number)

    def _agreed(self, runner: Runner) -> int:
        """The signal that any process got, or 0."""
        if get_world_size() == 1:
            return self._signal
        every = self.every or (10 if torch.cuda.is_available() else 1)
        if (runner.iter + 1) % every:
            return 0
        number = torch.tensor(self._signal, device=next(runner.model.parameters()).device)
        all_reduce(number, 'max')
        return int(number)


@HOOKS.register_module()
class FirstStepsHook(Hook):
    """Logs an early estimate of the training's time.

    It ignores the first step, which is often much slower than others.

    Args:
        after: seconds of steps to measure.
    """

    priority = 'VERY_LOW'

    def __init__(self, after: float = 1.0) -> None:
        self.after = after
        self._waits = False
        self._began: float | None = None
        self._steps = 0

    def before_train(self, runner: Runner) -> None:
        self._waits, self._began, self._steps = True, None, 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Log the estimate once."""
        if not self._waits:
            return
        if self._began is None:
            self._began = time.monotonic()
            return
        self._steps += 1
        spent = time.monotonic() - self._began
        if spent < self.after:
            return
        self._waits = False
        seconds = spent / self._steps
        left = (runner.max_iters - runner.iter - 1) * seconds
        runner.logger.info(
            f'step {runner.iter + 1} of {runner.max_iters}: {seconds:.2f} s a step so far, '
            f'{f"{left:.0f} s" if left < 120 else f"{left / 60:.0f} min"} left without validation'
        )
