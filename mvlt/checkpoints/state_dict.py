"""Compare the names and shapes of a state dict with a model."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from mmengine.logging import print_log

_RESIZABLE = 'positions.grid'  # learnt positions, resized on loading
_WRAPPERS = ('module.', '_orig_mod.', 'model.')  # DistributedDataParallel, torch.compile, Lightning
_COUNTER = 'num_batches_tracked'  # of BatchNorm, without effect, absent in old files


class Fit(NamedTuple):
    """Result of a comparison: names of tensors, sorted.

    loaded: in both, of one shape or resized on loading.
    resized: the part of ``loaded`` with other shapes.
    differing: in both, of other shapes: name -> (stored shape, model's shape).
    missing: in the model alone.
    extra: in the state dict alone.
    """

    loaded: list[str]
    resized: list[str]
    differing: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    missing: list[str]
    extra: list[str]

    def require(self, source: str, extra: bool = True, advice: str = '') -> None:
        """Raise ValueError unless the state dict fits.

        Args:
            source: named in the error.
            extra: allow extra tensors.
            advice: the likely mistake, for the error.
        """
        advice = advice or 'it was made by another config'
        for name, (stored, expected) in self.differing.items():
            raise ValueError(
                f"{source}: {name} is {stored}, the model's {expected} ({len(self.differing)} "
                f'tensors differ): {advice}'
            )
        for names, what in (
            (self.missing, 'lacks'),
            ([] if extra else self.extra, 'holds what the model lacks:'),
        ):
            if names:
                raise ValueError(f'{source} {what} {some(names)}: {advice}')


def compare(model: Mapping[str, torch.Tensor], stored: Mapping[str, torch.Tensor]) -> Fit:
    """Compare a model's state dict with a stored state dict."""
    common = sorted(model.keys() & stored.keys())
    reshaped = [name for name in common if model[name].shape != stored[name].shape]
    differing = {
        name: (tuple(stored[name].shape), tuple(model[name].shape))
        for name in reshaped
        if not name.endswith(_RESIZABLE)
    }
    return Fit(
        [name for name in common if name not in differing],
        [name for name in reshaped if name not in differing],
        differing,
        sorted(name for name in model.keys() - stored.keys() if not name.endswith(_COUNTER)),
        sorted(stored.keys() - model.keys()),
    )


def unwrapped(model: Mapping[str, Any], stored: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A stored state dict without the prefixes of model wrappers, which are logged.

    Args:
        model: the model's state dict, whose names decide.
        stored: of a checkpoint.
        source: named in the log.
    """
    state, removed = dict(stored), ''
    while state and not model.keys() & state.keys():
        prefix = next((p for p in _WRAPPERS if all(name.startswith(p) for name in state)), '')
        if not prefix:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
        removed += prefix
    if not removed or not model.keys() & state.keys():
        return dict(stored)
    print_log(f"{source}: removed the prefix '{removed}' of a wrapper from its names", 'current')
    return state


def check_finite(state: Mapping[str, torch.Tensor], source: str) -> None:
    """Raise ValueError for a weight that is NaN or infinite."""
    for name, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(
                f'{source}: {name} is not finite: the training has diverged; take an earlier '
                'checkpoint'
            )


def part(name: str) -> str:
    """The head, neck or backbone of a tensor."""
    steps = name.split('.')
    return '.'.join(steps[:2]) if steps[0] == 'heads' else steps[0]


def some(names: Iterable[str]) -> str:
    """The first three names and the number of more."""
    listed = sorted(names)
    return ', '.join(listed[:3]) + (f' and {len(listed) - 3} more' if len(listed) > 3 else '')
