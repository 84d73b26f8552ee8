"""mmengine's training loops with exact resume and a check for infinite and NaN losses.

A step's random numbers depend on the run's seed, the rank and the step (:mod:`mvlt.randomness`), a
sample's on its position (:mod:`mvlt.datasets.samplers`): a run that is stopped and resumed with as
many processes equals an uninterrupted run.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from mvlt.engine.async_metrics import AsyncMetrics
from mvlt.engine.optim import FiniteOptimWrapper
from mvlt.files import write_text
from mvlt.mmengine_private import count_epoch, count_step
from mvlt.randomness import seed_all
from mvlt.registry import LOOPS

OnNonFinite = Literal['stop', 'skip']


class NonFiniteLossError(FloatingPointError):
    """A loss is infinite or NaN on some process; the weights are unchanged.

    losses: name -> value on this process.
    """

    def __init__(self, message: str, losses: dict[str, float]) -> None:
        super().__init__(message)
        self.losses = losses


@dataclass
class _Step:
    number: int
    batch: dict
    names: Sequence[str] = ()  # of its losses


class _Steps:
    """The training step of both loops, for any model of mmengine's."""

    runner: Runner
    iter: int

    def __init__(
        self,
        *args: Any,
        on_nonfinite: OnNonFinite = 'stop',
        max_nonfinite: int = 10,
        async_metrics: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if on_nonfinite not in ('stop', 'skip'):
            raise ValueError(f"train_cfg.on_nonfinite='{on_nonfinite}'; legal: 'stop', 'skip'")
        self.on_nonfinite = on_nonfinite
        self.max_nonfinite = max_nonfinite
        self.async_metrics = async_metrics
        self._nonfinite = 0
        self._optim_wrapper: FiniteOptimWrapper
        self._late = AsyncMetrics()
        self._step = self._before = _Step(0, {})
        self._logged: dict[str, Any] = {}  # of the last step whose loss was finite

    def run(self) -> Any:
        """Train; with ``async_metrics`` check the last step's losses at the end."""
        runner = self.runner
        self._optim_wrapper = FiniteOptimWrapper(
            runner.optim_wrapper, runner.model, self.async_metrics
        )
        model = super().run()  # type: ignore[misc]
        numbers = self._late.settle()
        if numbers is not None:
            self._check(numbers, self._step)
        return model

    def run_iter(self, *args: Any) -> None:
        """Make a step with ``args``: the index within the epoch, if any, and the batch."""
        runner, batch = self.runner, args[-1]
        index = args[0] if len(args) == 2 else self.iter
        seed_all((runner.seed, get_rank(), self.iter))
        self._before, self._step = self._step, _Step(self.iter, batch)
        batch['step'] = self.iter
        runner.call_hook('before_train_iter', batch_idx=index, data_batch=batch)
        losses = runner.model.train_step(batch, optim_wrapper=self._optim_wrapper)
        outputs = self._read(losses)
        runner.call_hook('after_train_iter', batch_idx=index, data_batch=batch, outputs=outputs)
        count_step(self)

    def _read(self, losses: dict[str, torch.Tensor]) -> dict[str, Any]:
        """The losses to log: of this step or the previous; {} of a skipped step."""
        wrapper = self._optim_wrapper
        if not wrapper.later and not wrapper.skipped:
            return losses
        values = [value.detach().float().sum() for value in losses.values()]
        numbers = torch.stack((wrapper.finite, *values))
        self._step.names = list(losses)
        if wrapper.skipped:
            self._check(numbers, self._step)
            return {}
        arrived = self._late.swap(numbers)
        if arrived is not None:
            self._check(arrived, self._before)
        return self._logged or losses

    def _check(self, numbers: torch.Tensor, step: _Step) -> None:
        """Keep finite losses for the log; report losses that are not finite."""
        finite, *values = numbers.tolist()
        losses = dict(zip(step.names, values))
        if finite:
            self._logged = losses
        else:
            self._report(NonFiniteLossError(f'the loss is not finite: {losses}', losses), step)

    def _report(self, error: NonFiniteLossError, step: _Step) -> None:
        """Write the step's samples to a file; stop, unless the step may be skipped."""
        name = f'step_{step.number}_rank_{get_rank()}.json'
        path = Path(self.runner.work_dir, 'nonfinite', name)
        samples = [sample.metainfo for sample in step.batch['data_samples']]
        write_text(path, json.dumps(dict(losses=error.losses, samples=samples), indent=1))
        self._nonfinite += 1
        line = f'step {step.number}: {error}; its samples are in {path}'
        if self.on_nonfinite == 'stop' or self._nonfinite > self.max_nonfinite:
            bound = f' ({self._nonfinite} steps, train_cfg.max_nonfinite={self.max_nonfinite})'
            raise NonFiniteLossError(
                f'{line}{bound if self.on_nonfinite == "skip" else ""}. Lower the learning rate, '
                "fix the data, or skip such steps with train_cfg.on_nonfinite='skip'",
                error.losses,
            ) from error
        self.runner.logger.warning(f'{line}; skipped, the weights are unchanged')


@LOOPS.register_module()
class IterTrainLoop(_Steps, IterBasedTrainLoop):
    """A training counted in steps.

    Args:
        on_nonfinite: a loss that is infinite or NaN on any process: 'stop' ends the run before the
            weights change, 'skip' skips the step.
        max_nonfinite: with 'skip', steps that may be skipped since the start or resumption.
        async_metrics: read and log losses a step later, without waiting for the GPU. The GPU then
            skips steps by itself, and a moving average counts the unchanged weights twice. None =
            on a GPU with ``optimizer.fused`` and without accumulation of gradients.
        args, kwargs: IterBasedTrainLoop's.
    """


@LOOPS.register_module()
class EpochTrainLoop(_Steps, EpochBasedTrainLoop):
    """A training counted in epochs; it resumes within an epoch, too.

    Args:
        on_nonfinite, max_nonfinite, async_metrics: see :class:`IterTrainLoop`.
        args, kwargs: EpochBasedTrainLoop's.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._began = 0  # first step of this epoch
        self._within = False
        self._done = 0  # steps of the epoch before the checkpoint

    @property
    def samples_done(self) -> int:
        """Samples of this epoch, of all processes, with the current step; 0 between epochs."""
        return (self.iter + 1 - self._began) * self._samples_per_step if self._within else 0

    def start_at(self, samples: int) -> None:
        """Skip so many samples, of all processes, of the next epoch."""
        self._done = samples // self._samples_per_step

    @property
    def _samples_per_step(self) -> int:
        return (self.dataloader.batch_size or 1) * get_world_size()

    def run_epoch(self) -> None:
        """Train an epoch, or the rest of a resumed epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done, self._done = self._done, 0
        if done and hasattr(self.dataloader.sampler, 'start_at'):
            self.dataloader.sampler.start_at(done * self.dataloader.batch_size)
        elif done:
            self.runner.logger.warning(
                f'{type(self.dataloader.sampler).__name__} cannot resume within an epoch, so this '
                'epoch starts again; use mvlt.datasets.EpochSampler'
            )
            done = 0
        self._began, self._within = self.iter - done, True
        for index, batch in enumerate(self.dataloader, start=done):
            self.run_iter(index, batch)
        self._within = False
        self.runner.call_hook('after_train_epoch')
        count_epoch(self)
