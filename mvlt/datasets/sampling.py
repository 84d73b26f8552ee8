"""Training samples: their random numbers, and a substitute for unreadable ones."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import numpy as np

from mvlt.randomness import random_of

OnError = Literal['raise', 'skip']
_TRIES = 10


class Draw(int):
    """Index of a row, with the key that seeds the sample's random numbers.

    Args:
        row: index in the dataset.
        key: seed, epoch and position in the order of all ranks.
    """

    key: tuple[int, ...]

    def __new__(cls, row: int, key: Sequence[int]) -> 'Draw':
        draw = super().__new__(cls, row)
        draw.key = tuple(key)
        return draw

    def __sub__(self, other: int) -> 'Draw':  # of mmengine's ConcatDataset
        return Draw(int(self) - other, self.key)

    def __mod__(self, other: int) -> 'Draw':  # of mmengine's RepeatDataset
        return Draw(int(self) % other, self.key)

    def __getnewargs__(self) -> tuple[int, tuple[int, ...]]:  # type: ignore[override]
        return int(self), self.key


def fetch(index: int, read: Callable[[int], Any], rows: int, on_error: OnError) -> Any:
    """Sample ``index``, or a substitute if it cannot be read.

    Args:
        index: a row; a :class:`Draw` seeds the random numbers of ``read``.
        read: row -> packed sample, or a group of them.
        rows: length of the dataset.
        on_error: 'raise', or 'skip': replace an unreadable row by a random one. ``skipped`` of the
            sample then lists (row, reason).

    Raises:
        OSError, ValueError: from ``read``; with 'skip' after ten unreadable rows in turn.
    """
    with random_of(index.key) if isinstance(index, Draw) else nullcontext():
        row = int(index)
        skipped: list[tuple[int, str]] = []
        while True:
            try:
                sample = read(row)
                break
            except (OSError, ValueError) as error:
                skipped.append((row, str(error)))
                if on_error == 'raise' or len(skipped) == _TRIES:
                    raise
                row = int(np.random.randint(rows))
    if skipped:
        first = sample[0] if isinstance(sample, list) else sample
        first['data_samples'].set_metainfo(dict(skipped=skipped))
    return sample
