"""Does a state fit a model? One comparison; what is to be done about it, its caller says."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from mmengine.logging import print_log

_RESIZABLE = 'positions.grid'  # learnt positions, which the model resizes when it loads them
_WRAPPERS = ('module.', '_orig_mod.', 'model.')  # DistributedDataParallel, torch.compile, Lightning
_COUNTER = 'num_batches_tracked'  # BatchNorm's, absent in old files; it changes nothing


class Fit(NamedTuple):
    """Names of tensors, sorted.

    loaded: in both, of one shape or resized on loading.
    resized: those of them that are.
    differing: in both, of other shapes: name -> both shapes.
    missing: the state lacks them.
    extra: the model lacks them.
    """

    loaded: list[str]
    resized: list[str]
    differing: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    missing: list[str]
    extra: list[str]

    def require(self, source: str, extra: bool = True, advice: str = '') -> None:
        """Refuse what does not fit.

        Args:
            source: named in the message.
            extra: whether the state may have more than the model.
            advice: what the likely mistake is.

        Raises:
            ValueError: of other shapes, missing, or more than allowed.
        """
        advice = advice or 'it was made by another config'
        for name, (stored, own) in self.differing.items():
            raise ValueError(
                f"{source}: {name} is {stored}, the model's {own} ({len(self.differing)} tensors "
                f'differ): {advice}'
            )
        for names, what in (
            (self.missing, 'lacks'),
            ([] if extra else self.extra, 'holds what the model lacks:'),
        ):
            if names:
                raise ValueError(f'{source} {what} {some(names)}: {advice}')


def compare(own: Mapping[str, torch.Tensor], stored: Mapping[str, torch.Tensor]) -> Fit:
    """A model's tensors, their names and shapes, against those of a state."""
    both = sorted(own.keys() & stored.keys())
    other = [name for name in both if own[name].shape != stored[name].shape]
    resized = [name for name in other if name.endswith(_RESIZABLE)]
    differing = {
        name: (tuple(stored[name].shape), tuple(own[name].shape))
        for name in other
        if name not in set(resized)
    }
    return Fit(
        [name for name in both if name not in differing],
        resized,
        differing,
        sorted(name for name in own.keys() - stored.keys() if not name.endswith(_COUNTER)),
        sorted(stored.keys() - own.keys()),
    )


def unwrapped(own: Mapping[str, Any], stored: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A state without the prefixes that wrappers of a model put before every name; it is said.

    Args:
        own: the model's tensors, whose names decide.
        stored: of a checkpoint.
        source: named in the log.
    """
    state, cut = dict(stored), ''
    while state and not own.keys() & state.keys():
        prefix = next(
            (word for word in _WRAPPERS if all(name.startswith(word) for name in state)), ''
        )
        if not prefix:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
        cut += prefix
    if not cut or not own.keys() & state.keys():
        return dict(stored)
    print_log(f"{source}: its names begin with '{cut}', a wrapper's; it is left out", 'current')
    return state


def check_finite(state: Mapping[str, torch.Tensor], source: str) -> None:
    """Refuse weights that are no numbers: whatever such a model answers is an accident.

    Raises:
        ValueError: a tensor holds an infinite value or none.
    """
    for name, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(
                f'{source}: {name} holds what is no number: the training has diverged; take an '
                'earlier checkpoint'
            )


def part(name: str) -> str:
    """Head, neck or backbone that a tensor belongs to."""
    words = name.split('.')
    return '.'.join(words[:2]) if words[0] == 'heads' else words[0]


def some(names: Iterable[str]) -> str:
    """The first three, and how many more."""
    listed = sorted(names)
    return ', '.join(listed[:3]) + (f' and {len(listed) - 3} more' if len(listed) > 3 else '')
