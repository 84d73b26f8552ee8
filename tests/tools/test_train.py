"""Contract: a training on busy cores prints a warning."""

import pytest
import torch

from mvlt.tools import train


@pytest.mark.parametrize(
    ('load', 'threads', 'warned'), [(3.9, 2, True), (0.3, 2, False), (3.9, 1, False)]
)
def test_busy_cores(monkeypatch, load, threads, warned):
    monkeypatch.setattr(train.os, 'getloadavg', lambda: (load, 0.0, 0.0), raising=False)
    monkeypatch.setattr(train.os, 'cpu_count', lambda: 2)
    monkeypatch.setattr(train.torch, 'get_num_threads', lambda: threads)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    warning = train.busy_cores()
    assert bool(warning) == warned
    if warned:
        assert warning.startswith('other programs use 3.9 of 2 cores') and '=1' in warning
