"""Contract: a key gives the same numbers; other random states do not change."""

import random

import numpy as np
import torch

from mvlt.randomness import random_of, seed_all


def _draw():
    return random.random(), np.random.random(), float(torch.rand(()))


def test_numbers_follow_from_the_key():
    seed_all((0, 1, 2))
    first = _draw()
    seed_all((0, 1, 2))
    assert _draw() == first
    seed_all((0, 2, 1))
    assert not set(_draw()) & set(first)


def test_a_block_of_its_own_leaves_no_trace():
    seed_all((5,))
    expected = [_draw(), _draw()]
    seed_all((5,))
    numbers = [_draw()]
    with random_of((7, 0, 3)):
        inner = _draw()
    numbers.append(_draw())
    assert numbers == expected
    with random_of((7, 0, 3)):
        assert _draw() == inner


def test_traces_are_cleared_after_an_error_too():
    seed_all((5,))
    expected = _draw()
    seed_all((5,))
    try:
        with random_of((1,)):
            raise ValueError
    except ValueError:
        assert _draw() == expected
