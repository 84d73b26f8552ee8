"""Orders of training samples that can be taken up at any place."""

from collections.abc import Iterator
from typing import Any

from mmengine.dataset import DefaultSampler, InfiniteSampler

from mvlt.datasets.drawing import Draw
from mvlt.registry import DATA_SAMPLERS


class EpochOrder:
    """Hands out :class:`Draw` in place of plain indices, and can start within an epoch."""

    seed: int
    epoch: int
    rank: int
    world_size: int
    _start = 0

    def start_at(self, samples: int) -> None:
        """Leave out so many samples of this rank, once, in the next pass."""
        self._start = samples

    def __iter__(self) -> Iterator[Draw]:
        start, self._start = self._start, 0
        order: Any = super().__iter__()  # type: ignore[misc]
        for place, row in enumerate(order):
            if place >= start:
                yield Draw(row, (self.seed, self.epoch, place * self.world_size + self.rank))


@DATA_SAMPLERS.register_module()
class EpochSampler(EpochOrder, DefaultSampler):
    """mmengine's DefaultSampler, for training that can be resumed exactly; its arguments."""


@DATA_SAMPLERS.register_module()
class EndlessSampler(InfiniteSampler):
    """mmengine's InfiniteSampler, for training that can be resumed exactly; its arguments."""

    _place = 0

    def skip(self, num_samples: int) -> None:
        """Start behind so many samples of this rank, counted from the start of the training."""
        super().skip(num_samples)
        self._place = num_samples

    def __iter__(self) -> Iterator[Draw]:
        for row in self.indices:
            place, self._place = self._place, self._place + 1
            yield Draw(row, (self.seed, 0, place * self.world_size + self.rank))
