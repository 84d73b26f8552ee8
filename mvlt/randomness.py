"""Random numbers that follow from where a training stands, not from what ran before.

A sample's follow from its place in the order of draws, a step's from its number and rank. So a
resumed run draws what the uninterrupted one would have drawn, however many data workers had read
ahead, and nothing that draws between two steps (an evaluation, a picture) can disturb it.
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
    """Within: random numbers of the CPU that follow from ``key``; after it as before."""
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
