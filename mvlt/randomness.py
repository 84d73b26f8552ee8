"""Random numbers that depend on the position in a training, not on what ran before.

A sample's follow from its index in the order of draws, a step's from its number and rank. So a
resumed run equals the uninterrupted one, whatever the data workers had read ahead and whatever
else (an evaluation, example images) has drawn random numbers.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch


def seed_all(key: Sequence[int]) -> None:
    """Seed ``random``, numpy and torch, every device, from non-negative integers."""
    torch.manual_seed(_seed_host(key))


@contextmanager
def random_of(key: Sequence[int]) -> Iterator[None]:
    """Seed the CPU's random numbers with ``key``; restore their states afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    torch.default_generator.manual_seed(_seed_host(key))
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _seed_host(key: Sequence[int]) -> int:
    """Seed ``random`` and numpy; the seed for torch."""
    for_python, for_torch, *for_numpy = np.random.SeedSequence(key).generate_state(4, np.uint64)
    random.seed(int(for_python))
    np.random.seed(np.asarray(for_numpy).view(np.uint32))
    return int(for_torch)
