"""Says what a checkpoint gave to the model, and refuses one that does not fit."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.distributed.fsdp import FullyShardedDataParallel

from mvlt.engine.checkpoint import RUN_FACTS
from mvlt.registry import HOOKS, MODELS

# Learnt positions, which the model resizes when it loads them.
_RESIZABLE = 'positions.grid'


@HOOKS.register_module()
class LoadReportHook(Hook):
    """Compare names and shapes before mmengine loads, which passes over differences.

    A part of the model that the checkpoint lacks as a whole (a new head) starts at random; a part
    of the checkpoint that the model lacks as a whole (a head that this task does not build) is
    left out. Anything else that does not fit is an error. The checkpoints of this run then say
    which run it started from.

    Args:
        restart: parts that may have other shapes, and then start at random, e.g.
            ``('category_heads',)`` to fine-tune on other categories.
    """

    def __init__(self, restart: Sequence[str] = ()) -> None:
        self.restart = tuple(restart)
        self.started_from: dict[str, Any] | None = None

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
            else {key: meta[key] for key in RUN_FACTS if key in meta}
        )
        stored = checkpoint.get('state_dict', checkpoint)
        own = _state_dict(runner)
        differing = [
            key
            for key in stored.keys() & own.keys()
            if stored[key].shape != own[key].shape and not key.endswith(_RESIZABLE)
        ]
        restarted = [key for key in differing if key.startswith(self.restart)]
        if len(differing) > len(restarted):
            key = min(set(differing) - set(restarted))
            raise ValueError(
                f"the checkpoint's {key} is {tuple(stored[key].shape)}, the model's "
                f'{tuple(own[key].shape)} ({len(differing)} tensors differ): it was made by '
                'another config; use that one, or change the sizes in this one'
            )
        missing, extra = own.keys() - stored.keys(), stored.keys() - own.keys()
        for names, others, what in (
            (missing, stored, 'the checkpoint lacks'),
            (extra, own, 'the model lacks'),
        ):
            broken = _parts(names) & _parts(others)
            # BatchNorm's counters are absent in old files and change nothing
            incomplete = sorted(
                key
                for key in names
                if _part(key) in broken and not key.endswith('num_batches_tracked')
            )
            if incomplete:
                raise ValueError(
                    f'{what} {len(incomplete)} tensors of a part that both have, e.g. '
                    f'{", ".join(incomplete[:3])}: it was made by another config'
                )
        for key in (*extra, *restarted):
            del stored[key]
        resized = [key for key in own.keys() & stored.keys() if stored[key].shape != own[key].shape]
        runner.logger.info(
            f'checkpoint: {len(own.keys() & stored.keys())} tensors loaded, {len(resized)} of them '
            f'resized; left at random: {_names(missing) or "nothing"}'
            f'{", " + _names(restarted) if restarted else ""}; not needed here: '
            f'{_names(extra) or "nothing"}'
        )


def _state_dict(runner: Runner) -> dict[str, torch.Tensor]:
    """Names and shapes of the whole model."""
    if isinstance(runner.model, FullyShardedDataParallel):  # holds pieces of its tensors
        with torch.device('meta'):
            return MODELS.build(runner.cfg.model).state_dict()
    return getattr(runner.model, 'module', runner.model).state_dict()


def _part(key: str) -> str:
    """Head, neck or backbone that a tensor belongs to."""
    words = key.split('.')
    return '.'.join(words[:2]) if words[0] == 'category_heads' else words[0]


def _parts(keys: Iterable[str]) -> set[str]:
    return {_part(key) for key in keys}


def _names(keys: Iterable[str]) -> str:
    return ', '.join(sorted(_parts(keys)))
