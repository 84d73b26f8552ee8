"""Reports what a checkpoint gives the model, and refuses a checkpoint that does not fit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.checkpoints.checkpoint import RUN_FACTS, use_safe_files
from mvlt.checkpoints.state_dict import check_finite, compare, part, some, unwrapped
from mvlt.engine.runner import bare_model
from mvlt.mmengine_private import built_loops, is_resumed
from mvlt.registry import HOOKS

_ADVICE = 'it was made by another config; use that config, or change the sizes in this one'


@HOOKS.register_module()
class LoadReportHook(Hook):
    """Compares names and shapes before mmengine loads, which ignores differences.

    A test or a resumed training must load every tensor of the model. A training that starts from a
    checkpoint may lack whole parts (a new head), which start at random. Its class rows are matched
    by name: new classes start at random, classes that the data lack are dropped. Parts that the
    model lacks are dropped. Anything else is refused, and so is a checkpoint without any tensor of
    the model.

    The checkpoints of this run record the run that it started from.

    Args:
        classes: head -> names of its rows in the checkpoint that training starts from
            (:mod:`mvlt.engine.resolve` adds them).
        restart: parts that may have other shapes, and then start at random, e.g.
            ``('heads.main_category',)`` to fine-tune on categories that share no name.
    """

    def __init__(
        self, classes: Mapping[str, Sequence[str]] | None = None, restart: Sequence[str] = ()
    ) -> None:
        self.classes = {name: list(names) for name, names in (classes or {}).items()}
        self.restart = tuple(restart)
        self.started_from: dict[str, Any] | None = None
        self._new_classes = False

    def before_run(self, runner: Runner) -> None:
        """Never unpickle files, in a notebook either."""
        use_safe_files()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if self.started_from is not None:
            checkpoint['meta']['started_from'] = self.started_from

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check and trim ``checkpoint['state_dict']`` in place.

        Raises:
            ValueError: a tensor has another shape or NaN, a part is incomplete, nothing is loaded,
                or a test or a resumed training would have a random tensor.
        """
        meta = checkpoint.get('meta', {})
        facts = {key: meta[key] for key in (*RUN_FACTS, 'started_from') if key in meta}
        resumed, training = is_resumed(runner), 'train' in built_loops(runner)
        starts = training and not resumed
        self.started_from = meta.get('started_from') if resumed else facts
        model = bare_model(runner)
        initial = model.state_dict()
        stored = checkpoint.get('state_dict', checkpoint)
        state = unwrapped(initial, stored, 'the checkpoint')
        restarted: list[str] = []
        if starts:
            restarted = [
                key
                for key, tensor in initial.items()
                if self._restarts(key) and (key not in state or state[key].shape != tensor.shape)
            ]
            state = {key: value for key, value in state.items() if key not in restarted}
            restarted += self._move_rows(runner, model, initial, state)
        fit = compare(initial, state)
        fit._replace(missing=[]).require('the checkpoint', advice=_ADVICE)
        missing = [
            key
            for key in fit.missing
            if key not in restarted and not (starts and _is_of_training(model, key))
        ]
        if missing and not starts:
            raise ValueError(
                f'the checkpoint gives the model {len(fit.loaded)} tensors and leaves '
                f'{some(missing)} at random: {"a resumed training" if training else "a test"} '
                'needs them all. Name the checkpoint of this very recipe, or a recipe without '
                f'{_parts(missing)}'
            )
        if not fit.loaded:
            raise ValueError(
                f'the checkpoint gives the model nothing: it holds {some(state)}, the model has '
                f'{some(initial)}. Name a checkpoint of this kind of model, or start at random '
                '(load_from=None)'
            )
        for names, others, owner in (
            (missing, state, 'checkpoint'),
            (fit.extra, initial, 'model'),
        ):
            parts = {part(key) for key in others}
            names = [key for key in names if part(key) in parts and not _is_of_training(model, key)]
            if names:
                raise ValueError(
                    f'the {owner} lacks {some(names)}, of a part that both have: it was made by '
                    'another config'
                )
        check_finite({key: state[key] for key in fit.loaded}, 'the checkpoint')
        stored.clear()
        stored.update({key: state[key] for key in fit.loaded})
        runner.logger.info(
            f'checkpoint: {len(fit.loaded)} tensors loaded, {len(fit.resized)} of them '
            f'resized; left at random: {_parts((*missing, *restarted)) or "nothing"}'
            f'{" but new classes" if self._new_classes else ""}; not needed here: '
            f'{_parts(fit.extra) or "nothing"}'
        )

    def _move_rows(
        self,
        runner: Runner,
        model: Any,
        initial: Mapping[str, torch.Tensor],
        state: dict[str, torch.Tensor],
    ) -> list[str]:
        """Give each class of the training data its row in the checkpoint, by name.

        Returns:
            Tensors of ``restart`` without a common name; they start at random.
        """
        restarted: list[str] = []
        meta = runner.train_loop.dataloader.dataset.metainfo
        for name, before in self.classes.items():
            head = model.heads[name] if name in getattr(model, 'heads', {}) else None
            label = getattr(head, 'label', name)
            now = list(meta.get(label, ()))[: meta.get(f'{label}_trained')]
            tensors = [f'heads.{name}.{key}' for key in getattr(head, 'class_rows', ())]
            tensors = [key for key in tensors if key in state]
            fits = all(
                state[key].shape[1:] == initial[key].shape[1:] and len(state[key]) == len(before)
                for key in tensors
            )
            if now == before or not now or not tensors or not fits:
                continue
            rows = {row: before.index(kind) for row, kind in enumerate(now) if kind in before}
            if not rows:
                if all(map(self._restarts, tensors)):
                    restarted += tensors
                    for key in tensors:
                        del state[key]
                    continue
                raise ValueError(
                    f'heads.{name}: no class of the training data ({", ".join(now[:5])}) is in '
                    f'the checkpoint ({", ".join(before[:5])}); to start this head at random: '
                    f"--cfg-options default_hooks.load_report.restart=['heads.{name}']"
                )
            for key in tensors:
                moved = initial[key].detach().clone()
                for row, old in rows.items():
                    moved[row] = state[key][old]
                state[key] = moved
            new = [kind for kind in now if kind not in before]
            gone = [kind for kind in before if kind not in now]
            self._new_classes |= bool(new)
            runner.logger.info(
                f'heads.{name}: {len(rows)} classes matched by name; new, at random: '
                f'{", ".join(new) or "none"}; dropped: {", ".join(gone) or "none"}'
            )
        return restarted

    def _restarts(self, key: str) -> bool:
        return any(key == part or key.startswith(f'{part}.') for part in self.restart)


def _is_of_training(model: Any, key: str) -> bool:
    """Whether only a head's training needs a tensor, e.g. a queue."""
    names, heads = key.split('.'), getattr(model, 'heads', {})
    head = heads[names[1]] if names[0] == 'heads' and names[1] in heads else None
    return head is not None and names[2] in getattr(head, 'training_tensors', ())


def _parts(keys: Iterable[str]) -> str:
    return ', '.join(sorted({part(key) for key in keys}))
