"""One sample of a training: its own random numbers, and what happens if it cannot be read."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import numpy as np

from mvlt.randomness import random_of

OnError = Literal['raise', 'skip']
_TRIES = 10


class Draw(int):
    """A row's number that also knows its place in the training.

    Args:
        row: index in the dataset.
        key: seed, epoch and place in the order of all ranks; the sample's random numbers follow
            from it.
    """

    key: tuple[int, ...]

    def __new__(cls, row: int, key: Sequence[int]) -> 'Draw':
        draw = super().__new__(cls, row)
        draw.key = tuple(key)
        return draw

    def __sub__(self, other: int) -> 'Draw':  # mmengine's ConcatDataset looks up its part so
        return Draw(int(self) - other, self.key)

    def __mod__(self, other: int) -> 'Draw':  # and its RepeatDataset
        return Draw(int(self) % other, self.key)

    def __getnewargs__(self) -> tuple[int, tuple[int, ...]]:  # type: ignore[override]
        return int(self), self.key


def fetch(index: int, read: Callable[[int], Any], rows: int, on_error: OnError) -> Any:
    """Sample ``index``, or in its place one that can be read.

    Args:
        index: a row; a :class:`Draw` brings its own random numbers.
        read: row -> packed sample, or a group of them.
        rows: how many there are.
        on_error: 'skip' takes another row, drawn at random, for one that cannot be read, and says
            so in the sample's ``skipped``: (row, reason) of each.

    Raises:
        OSError, ValueError: of ``read``; with 'skip' if ten rows in turn cannot be read.
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
