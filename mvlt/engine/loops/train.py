"""mmengine's training loops, made to go on exactly and to stop at a loss that is no number.

Every step's random numbers follow from the run's seed, the rank and the number of the step
(:mod:`mvlt.randomness`), every sample's from its place (:mod:`mvlt.datasets.samplers`): a run that
was stopped anywhere and resumed with as many processes equals the one that was not.
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
    """A loss is infinite or no number, on this process or another; the weights are as before it.

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
    """One step of either loop, of any model of mmengine's."""

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
        """Train; what is read a step later is read of the last one, too."""
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
        """One step; its last argument is the batch, the one before it, if there is, its place."""
        runner, batch = self.runner, args[-1]
        place = args[0] if len(args) == 2 else self.iter
        seed_all((runner.seed, get_rank(), self.iter))
        self._before, self._step = self._step, _Step(self.iter, batch)
        batch['step'] = self.iter
        runner.call_hook('before_train_iter', batch_idx=place, data_batch=batch)
        losses = runner.model.train_step(batch, optim_wrapper=self._optim_wrapper)
        outputs = self._read(losses)
        runner.call_hook('after_train_iter', batch_idx=place, data_batch=batch, outputs=outputs)
        count_step(self)

    def _read(self, losses: dict[str, torch.Tensor]) -> dict[str, Any]:
        """What is logged of a step: its losses, or those of the one before; {} of a skipped one."""
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
        """Log a step's losses; of one that is not finite, write them down; it may end the run."""
        finite, *values = numbers.tolist()
        losses = dict(zip(step.names, values))
        if finite:
            self._logged = losses
        else:
            self._keep(NonFiniteLossError(f'the loss is not finite: {losses}', losses), step)

    def _keep(self, error: NonFiniteLossError, step: _Step) -> None:
        """Write down which samples it was; stop, unless it may still be skipped."""
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
                "mend the data, or leave such steps out with train_cfg.on_nonfinite='skip'",
                error.losses,
            ) from error
        self.runner.logger.warning(f'{line}; skipped, the weights stay as they were')


@LOOPS.register_module()
class IterTrainLoop(_Steps, IterBasedTrainLoop):
    """A training counted in steps.

    Args:
        on_nonfinite: a loss that is infinite or no number, on any process: 'stop' ends the run
            before the weights change, 'skip' leaves the step out.
        max_nonfinite: with 'skip', how many such steps a run may have from its start or resumption.
        async_metrics: losses are read, and logged, a step later, so that nobody waits for the GPU;
            it
            leaves a step out by itself where the loss is not finite, a moving average of the
            weights counts them twice. None = on a GPU with ``optimizer.fused`` and without
            accumulation of gradients.
        args, kwargs: IterBasedTrainLoop's.
    """


@LOOPS.register_module()
class EpochTrainLoop(_Steps, EpochBasedTrainLoop):
    """A training counted in epochs; a checkpoint within an epoch is taken up there.

    Args:
        on_nonfinite, max_nonfinite, async_metrics: see :class:`IterTrainLoop`.
        args, kwargs: EpochBasedTrainLoop's.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._began = 0  # the step that this epoch began with
        self._within = False
        self._done = 0  # steps of it that a checkpoint has behind it

    @property
    def samples_done(self) -> int:
        """Of all processes, in this epoch, with the step that runs; 0 between two epochs."""
        return (self.iter + 1 - self._began) * self._samples_a_step if self._within else 0

    def start_at(self, samples: int) -> None:
        """Begin the next epoch behind so many samples of all processes."""
        self._done = samples // self._samples_a_step

    @property
    def _samples_a_step(self) -> int:
        return (self.dataloader.batch_size or 1) * get_world_size()

    def run_epoch(self) -> None:
        """An epoch, from the step where the checkpoint was."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done, self._done = self._done, 0
        if done and hasattr(self.dataloader.sampler, 'start_at'):
            self.dataloader.sampler.start_at(done * self.dataloader.batch_size)
        elif done:
            self.runner.logger.warning(
                f'{type(self.dataloader.sampler).__name__} cannot start within an epoch, this one '
                'begins anew; mvlt.datasets.EpochSampler can'
            )
            done = 0
        self._began, self._within = self.iter - done, True
        for place, batch in enumerate(self.dataloader, start=done):
            self.run_iter(place, batch)
        self._within = False
        self.runner.call_hook('after_train_epoch')
        count_epoch(self)
