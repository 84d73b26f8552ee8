"""mmengine's training loops, made to go on exactly and to stop at a loss that is no number.

Every step's random numbers follow from the run's seed, the rank and the number of the step
(:mod:`mvlt.randomness`), every sample's from its place (:mod:`mvlt.datasets.samplers`): a run that
was stopped anywhere and resumed with as many processes equals the one that was not.
"""

import json
from pathlib import Path
from typing import Any, Literal

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from mvlt.files import write_text
from mvlt.randomness import seed_all
from mvlt.registry import LOOPS

OnNonFinite = Literal['stop', 'skip']


class NonFiniteLossError(FloatingPointError):
    """A loss is infinite or no number, on this process or another; no gradient has been taken.

    losses: name -> value on this process.
    """

    def __init__(self, message: str, losses: dict[str, float]) -> None:
        super().__init__(message)
        self.losses = losses


class _Steps:
    """One step of either loop, of any model of mmengine's."""

    runner: Runner
    _iter: int

    def __init__(
        self,
        *args: Any,
        on_nonfinite: OnNonFinite = 'stop',
        max_nonfinite: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if on_nonfinite not in ('stop', 'skip'):
            raise ValueError(f"train_cfg.on_nonfinite='{on_nonfinite}'; legal: 'stop', 'skip'")
        self.on_nonfinite = on_nonfinite
        self.max_nonfinite = max_nonfinite
        self._nonfinite = 0
        self._watched = False

    def run_iter(self, *args: Any) -> None:
        """One step; its last argument is the batch, the one before it, if there is, its place."""
        if not self._watched:
            _watch(getattr(self.runner.model, 'module', self.runner.model))
            self._watched = True
        seed_all((self.runner.seed, get_rank(), self._iter))
        try:
            super().run_iter(*args)  # type: ignore[misc]
        except NonFiniteLossError as error:
            self._keep(error, args[-1])
            place = args[0] if len(args) == 2 else self._iter
            self.runner.call_hook(
                'after_train_iter', batch_idx=place, data_batch=args[-1], outputs={}
            )
            self._iter += 1

    def _keep(self, error: NonFiniteLossError, batch: dict) -> None:
        """Write down which samples it was; stop, unless it may still be skipped."""
        name = f'step_{self._iter}_rank_{get_rank()}.json'
        path = Path(self.runner.work_dir, 'nonfinite', name)
        samples = [sample.metainfo for sample in batch['data_samples']]
        write_text(path, json.dumps(dict(losses=error.losses, samples=samples), indent=1))
        self._nonfinite += 1
        line = f'step {self._iter}: {error}; its samples are in {path}'
        if self.on_nonfinite == 'stop' or self._nonfinite > self.max_nonfinite:
            bound = f' ({self._nonfinite} steps, train_cfg.max_nonfinite={self.max_nonfinite})'
            raise NonFiniteLossError(
                f'{line}{bound if self.on_nonfinite == "skip" else ""}. Lower the learning rate, '
                "mend the data, or leave such steps out with train_cfg.on_nonfinite='skip'",
                error.losses,
            ) from error
        self.runner.logger.warning(f'{line}; skipped, the weights stay as they were')


def _watch(model: Any) -> None:
    """Let a model's sum of losses be refused by all processes where one has no finite one."""
    parse = model.parse_losses

    def parse_losses(losses: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        total, logged = parse(losses)
        finite = torch.isfinite(total.detach()).float()
        all_reduce(finite, 'min')
        if not finite:
            values = {name: float(value.detach().sum()) for name, value in logged.items()}
            raise NonFiniteLossError(f'the loss is not finite: {values}', values)
        return total, logged

    model.parse_losses = parse_losses


@LOOPS.register_module()
class IterTrainLoop(_Steps, IterBasedTrainLoop):
    """A training counted in steps.

    Args:
        on_nonfinite: a loss that is infinite or no number, on any process: 'stop' ends the run
            before the weights change, 'skip' leaves the step out.
        max_nonfinite: with 'skip', how many such steps a run may have from its start or resumption.
        args, kwargs: IterBasedTrainLoop's.
    """


@LOOPS.register_module()
class EpochTrainLoop(_Steps, EpochBasedTrainLoop):
    """A training counted in epochs; a checkpoint within an epoch is taken up there.

    Args:
        on_nonfinite, max_nonfinite: see :class:`IterTrainLoop`.
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
        return (self._iter + 1 - self._began) * self._samples_a_step if self._within else 0

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
        self._began, self._within = self._iter - done, True
        for place, batch in enumerate(self.dataloader, start=done):
            self.run_iter(place, batch)
        self._within = False
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
