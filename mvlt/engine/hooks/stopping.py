"""What a person at the terminal needs: an early estimate, and a stop that loses nothing."""

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
    """Told to stop, after a checkpoint was written.

    signal: the number of what told it.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number


@HOOKS.register_module()
class StopHook(Hook):
    """After Ctrl-C or SIGTERM: finish the step, write a checkpoint, end.

    A second signal ends the training at once. During a validation the step that is finished is the
    next one. Several processes agree on the step; on GPUs they ask each other at every tenth.

    Args:
        every: steps between two such questions; None = 1 on CPUs, 10 on GPUs.
    """

    priority = 'LOWEST'  # behind the checkpoint of the same step
    listening: 'StopHook | None' = None  # of this process; a run that failed may have left one

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self._told = 0  # number of the signal
        self._process = os.getpid()
        self._before: dict[int, Any] = {}

    def before_train(self, runner: Runner) -> None:
        """Listen; outside the main thread nothing can be heard, and the process ends as ever."""
        self._process = os.getpid()
        if StopHook.listening is not None:
            StopHook.listening._hear_no_more()
        StopHook.listening = self
        try:
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._tell)
        except ValueError:
            self._before = {}

    def after_train(self, runner: Runner) -> None:
        """Listen no longer."""
        self._hear_no_more()

    def _hear_no_more(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _tell(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a data worker, which the terminal tells, too
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        self._told = number
        self._hear_no_more()  # the second one ends at once
        print(
            '\nstopping: this step is finished and a checkpoint written; once more ends at once',
            flush=True,
        )

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save and end, where a process was told to.

        Raises:
            TrainingStopped: it was.
        """
        number = self._agreed(runner)
        if not number:
            return
        self._hear_no_more()
        hook = next((hook for hook in runner.hooks if isinstance(hook, WholeCheckpointHook)), None)
        path = hook.save_now(runner) if hook else None
        runner.logger.info(f'stopped after step {runner.iter + 1}; {path or "nothing is saved"}')
        rest = f'{path} is written; the same command with --resume goes on' if path else ''
        raise TrainingStopped(rest, number)

    def _agreed(self, runner: Runner) -> int:
        if get_world_size() == 1:
            return self._told
        every = self.every or (10 if torch.cuda.is_available() else 1)
        if (runner.iter + 1) % every:
            return 0
        device = next(runner.model.parameters()).device
        told = torch.tensor(self._told, device=device)
        all_reduce(told, 'max')
        return int(told)


@HOOKS.register_module()
class FirstStepsHook(Hook):
    """Say within seconds that steps are made, and how long all of them will take.

    The first step is left out: it fetches the first pictures and warms up, often for longer than
    many others.

    Args:
        after: seconds of steps that the estimate is made from.
    """

    priority = 'VERY_LOW'

    def __init__(self, after: float = 1.0) -> None:
        self.after = after
        self._waits = False
        self._began: float | None = None
        self._steps = 0

    def before_train(self, runner: Runner) -> None:
        """Each training says it once."""
        self._waits, self._began, self._steps = True, None, 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Once, as soon as there is something to say."""
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
        left = runner.max_iters - runner.iter - 1
        seconds = spent / self._steps
        runner.logger.info(
            f'step {runner.iter + 1} of {runner.max_iters}: {seconds:.2f} s a step so far, '
            f'{_clock(left * seconds)} left without validation'
        )


def _clock(seconds: float) -> str:
    minutes = seconds / 60
    return f'{seconds:.0f} s' if minutes < 2 else f'{minutes:.0f} min'
