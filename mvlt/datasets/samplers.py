"""Samplers that resume training at any sample."""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, count
from typing import Any

import numpy as np
from mmengine.dataset import DefaultSampler, InfiniteSampler

from mvlt.datasets.sampling import Draw
from mvlt.registry import DATA_SAMPLERS


class EpochOrder:
    """Mixin: yields :class:`Draw` instead of indices, and can start within an epoch."""

    seed: int
    epoch: int
    rank: int
    world_size: int
    _start = 0

    def start_at(self, samples: int) -> None:
        """Skip so many samples of this rank in the next pass, once."""
        self._start = samples

    def __iter__(self) -> Iterator[Draw]:
        start, self._start = self._start, 0
        order: Any = super().__iter__()  # type: ignore[misc]
        for position, row in enumerate(order):
            if position >= start:
                yield Draw(row, (self.seed, self.epoch, position * self.world_size + self.rank))


@DATA_SAMPLERS.register_module()
class EpochSampler(EpochOrder, DefaultSampler):
    """mmengine's DefaultSampler, for training that resumes exactly."""


@DATA_SAMPLERS.register_module()
class EndlessSampler(InfiniteSampler):
    """mmengine's InfiniteSampler, for training that resumes exactly."""

    _position = 0

    def skip(self, num_samples: int) -> None:
        """Start after so many samples of this rank, counted from the start of the training."""
        super().skip(num_samples)
        self._position = num_samples

    def __iter__(self) -> Iterator[Draw]:
        return map(self._next, self.indices)

    def _next(self, row: int) -> Draw:
        position, self._position = self._position, self._position + 1
        return Draw(row, (self.seed, 0, position * self.world_size + self.rank))


class BatchOrder(EndlessSampler):
    """Base of samplers that compose whole batches of all processes, each process the same.

    Args:
        dataset: the dataset to sample.
        batch_size: of a process, as of its data loader.
        seed: None = the run's.

    Raises:
        ValueError: fewer rows than a batch of all processes.
    """

    def __init__(self, dataset: Any, batch_size: int, seed: int | None = None) -> None:
        super().__init__(dataset, shuffle=True, seed=seed)
        self.batch_size = batch_size
        if len(dataset) < batch_size * self.world_size:
            raise ValueError(
                f'{type(self).__name__}: {len(dataset)} rows do not fill one batch of {batch_size} '
                f'on each of {self.world_size} processes; lower train_dataloader.batch_size'
            )

    @abstractmethod
    def batches(self, epoch: int) -> list[list[int]]:
        """Rows of each batch of all processes, in the order of their ranks.

        Rows that fill no batch are dropped.
        """

    def __iter__(self) -> Iterator[Draw]:
        start, within = divmod(self._position, self.batch_size)  # batches done, rows of the next
        for epoch in count():
            batches = self.batches(epoch)
            if start >= len(batches):
                start -= len(batches)
                continue
            for batch in batches[start:]:
                rows = batch[self.rank * self.batch_size :][: self.batch_size]
                yield from map(self._next, rows[within:])
                within = 0
            start = 0

    def skip(self, num_samples: int) -> None:
        """See :meth:`EndlessSampler.skip`."""
        self._position = num_samples


@DATA_SAMPLERS.register_module()
class CategoryBatchSampler(BatchOrder):
    """Batches with groups of one category: harder negatives, which teach details.

    Groups fill a share of each batch of all processes, random rows the rest. A row comes at most
    once an epoch, a product at most once a batch.

    Args:
        dataset: its records have ``product_id`` and ``category``.
        batch_size, seed: see :class:`BatchOrder`.
        group: rows of a group; a category's remaining rows are not grouped.
        share: share of a batch for groups, 0 to 1.
        category: the category or attribute that a group shares.

    Raises:
        ValueError: an illegal argument; fewer rows than a batch of all processes.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        group: int = 16,
        share: float = 0.5,
        category: str = 'sub_category',
        seed: int | None = None,
    ) -> None:
        super().__init__(dataset, batch_size, seed)
        if not 0 <= share <= 1 or not 2 <= group <= batch_size:
            raise ValueError(
                f'CategoryBatchSampler: group={group}, share={share}; legal: 2 to batch_size='
                f'{batch_size} rows, a share from 0 to 1'
            )
        self.group = group
        self.share = share
        self.category = category

    @cached_property
    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Category and product number of each row, int64."""
        records = [self.dataset.get_data_info(row) for row in range(len(self.dataset))]
        if self.category not in records[0]:
            raise ValueError(
                f"CategoryBatchSampler.category='{self.category}': the training data has no such "
                'key; name its column in `columns`'
            )
        categories = [record[self.category] for record in records]
        _, products = np.unique([record['product_id'] for record in records], return_inverse=True)
        return np.array(categories), products

    def batches(self, epoch: int) -> list[list[int]]:
        """See :meth:`BatchOrder.batches`."""
        rng = np.random.default_rng((self.seed, epoch))
        size = self.batch_size * self.world_size
        slots = round(self.share * size / self.group)
        categories, products = self.labels
        order = rng.permutation(len(categories))
        order = order[np.argsort(categories[order], kind='stable')]
        groups = [
            rows[start : start + self.group].tolist()
            for rows in np.split(order, np.flatnonzero(np.diff(categories[order])) + 1)
            for start in range(0, len(rows) - self.group + 1, self.group)
        ]
        groups = [groups[i] for i in rng.permutation(len(groups))]
        number = len(categories) // size
        grouped = groups[: number * slots]
        alone = np.setdiff1d(np.arange(len(categories)), list(chain(*grouped)))
        waiting = deque(rng.permutation(alone).tolist())
        batches = []
        for i in range(number):
            candidates = [*chain(*grouped[i * slots : (i + 1) * slots])]
            batch, later = _of_different_products(candidates, products)
            taken = set(products[batch].tolist())
            for _ in range(len(waiting)):
                if len(batch) == size:
                    break
                row = waiting.popleft()
                if products[row] in taken:
                    later.append(row)
                else:
                    taken.add(products[row])
                    batch.append(row)
            waiting.extend(later)
            if len(batch) == size:
                batches.append(batch)
        if not batches:
            raise ValueError(
                f'CategoryBatchSampler: no batch of {size} different products; lower '
                'train_dataloader.batch_size'
            )
        return batches


@DATA_SAMPLERS.register_module()
class LengthSampler(BatchOrder):
    """Batches of captions of similar length: less padding.

    Random rows are sorted by length within a pool of batches, and the batches are shuffled. A
    caption's negatives are then as long as the caption, so length is no hint. On 6,413 product
    titles (9 tokens on average, at most 23) in batches of 128, padding falls from 48 % of the
    tokens to 9 %.

    Args:
        dataset: its records have ``caption``.
        batch_size, seed: see :class:`BatchOrder`.
        pool: batches to sort together; 1 = no sorting.
    """

    def __init__(
        self, dataset: Any, batch_size: int, pool: int = 16, seed: int | None = None
    ) -> None:
        super().__init__(dataset, batch_size, seed)
        self.pool = pool

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each caption, int64; words if the dataset has no pipeline."""
        inner = self.dataset
        while hasattr(inner, 'dataset'):
            inner = inner.dataset
        if len(inner) != len(self.dataset):
            raise ValueError(
                f'LengthSampler: {type(self.dataset).__name__} has {len(self.dataset)} rows, '
                f'its records are {len(inner)}: the lengths of rows are unknown'
            )
        captions = [inner.get_data_info(row)['caption'] for row in range(len(inner))]
        if not hasattr(inner, 'pipeline'):
            return np.array([len(caption.split()) for caption in captions])
        encode = inner.pipeline.tokenize().transform
        return np.array([len(encode(dict(caption=caption))['token_ids']) for caption in captions])

    def batches(self, epoch: int) -> list[list[int]]:
        """See :meth:`BatchOrder.batches`."""
        rng = np.random.default_rng((self.seed, epoch))
        size = self.batch_size * self.world_size
        order = rng.permutation(len(self.lengths))
        order = order[: len(order) // size * size]
        batches: list[list[int]] = []
        for start in range(0, len(order), size * self.pool):
            rows = order[start : start + size * self.pool]
            rows = rows[np.argsort(self.lengths[rows], kind='stable')]
            batches.extend(rows.reshape(-1, size).tolist())
        return [batches[i] for i in rng.permutation(len(batches))]


def _of_different_products(
    rows: Sequence[int], products: np.ndarray
) -> tuple[list[int], list[int]]:
    """The first row of each product, and the other rows."""
    first: dict[int, int] = {}
    rest = [row for row in rows if first.setdefault(int(products[row]), row) != row]
    return list(first.values()), rest
