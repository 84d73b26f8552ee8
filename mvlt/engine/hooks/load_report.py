"""Says what a checkpoint gave to the model, and refuses one that does not fit."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.registry import HOOKS
from mvlt.trained.checkpoint import RUN_FACTS, use_safe_files
from mvlt.trained.fit import compare, part, some

_ADVICE = 'it was made by another config; use that one, or change the sizes in this one'


@HOOKS.register_module()
class LoadReportHook(Hook):
    """Compare names and shapes before mmengine loads, which passes over differences.

    A part of the model that the checkpoint lacks as a whole (a new head) starts at random; a part
    of the checkpoint that the model lacks as a whole (a head that this task does not build) is
    left out. Anything else that does not fit is an error. The checkpoints of this run then say
    which run it started from.

    Args:
        restart: parts that may have other shapes, and then start at random, e.g.
            ``('heads.main_category',)`` to fine-tune on other categories.
    """

    def __init__(self, restart: Sequence[str] = ()) -> None:
        self.restart = tuple(restart)
        self.started_from: dict[str, Any] | None = None

    def before_run(self, runner: Runner) -> None:
        """Before anything is loaded, in a notebook too: no file is unpickled."""
        use_safe_files()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add what this run started from, so that results can be traced to their pre-training."""
        if self.started_from is not None:
            checkpoint['meta']['started_from'] = self.started_from

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check and trim ``checkpoint['state_dict']`` in place.

        Raises:
            ValueError: a tensor has another shape, or a part is incomplete.
        """
        meta = checkpoint.get('meta', {})
        self.started_from = (
            meta.get('started_from')
            if runner._resume
            else {key: meta[key] for key in (*RUN_FACTS, 'started_from') if key in meta}
        )
        stored = checkpoint.get('state_dict', checkpoint)
        own = _state_dict(runner)
        fit = compare(own, stored)
        restarted = [key for key in fit.differing if key.startswith(self.restart)]
        fit._replace(
            differing={k: v for k, v in fit.differing.items() if k not in restarted}, missing=[]
        ).require('the checkpoint', advice=_ADVICE)
        for names, others, what in (
            (fit.missing, stored, 'the checkpoint lacks'),
            (fit.extra, own, 'the model lacks'),
        ):
            broken = {part(key) for key in names} & {part(key) for key in others}
            incomplete = [key for key in names if part(key) in broken]
            if incomplete:
                raise ValueError(
                    f'{what} {some(incomplete)}, of a part that both have: it was made by another '
                    'config'
                )
        for key in (*fit.extra, *restarted):
            del stored[key]
        runner.logger.info(
            f'checkpoint: {len(fit.loaded)} tensors loaded, {len(fit.resized)} of them '
            f'resized; left at random: {_parts(fit.missing) or "nothing"}'
            f'{", " + _parts(restarted) if restarted else ""}; not needed here: '
            f'{_parts(fit.extra) or "nothing"}'
        )


def _state_dict(runner: Runner) -> dict[str, torch.Tensor]:
    """Names and shapes of the whole model."""
    return getattr(runner.model, 'module', runner.model).state_dict()


def _parts(keys: Iterable[str]) -> str:
    return ', '.join(sorted({part(key) for key in keys}))
