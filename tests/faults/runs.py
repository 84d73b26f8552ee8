"""Trainings in processes of their own: where they listen, how one dies, whether two ended alike."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import torch


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def kill_rank(rank: int, work_dir: Path) -> None:
    """`kill -9` the process of a rank, found by its command line and environment.

    Raises:
        ValueError: there is none.
    """
    for process in Path('/proc').glob('[0-9]*'):
        try:
            arguments = (process / 'cmdline').read_bytes().split(b'\0')
            environment = (process / 'environ').read_bytes().split(b'\0')
        except OSError:
            continue
        if f'RANK={rank}'.encode() in environment and str(work_dir).encode() in arguments:
            os.kill(int(process.name), signal.SIGKILL)
            return
    raise ValueError(f'no process of rank {rank} to kill')


def difference(one: Any, other: Any, place: str = '') -> str | None:
    """Where two nests of containers, tensors and plain values first differ; None = nowhere."""
    if type(one) is not type(other):
        return place or '.'
    if isinstance(one, torch.Tensor):
        return None if torch.equal(one, other) else place
    if isinstance(one, dict | list | tuple):
        if isinstance(one, dict):
            if one.keys() != other.keys():
                return place or '.'
            pairs = {key: (value, other[key]) for key, value in one.items()}
        else:
            if len(one) != len(other):
                return place or '.'
            pairs = dict(enumerate(zip(one, other)))
        found = (difference(*pair, f'{place}.{key}') for key, pair in pairs.items())
        return next((where for where in found if where), None)
    return None if one == other else place or '.'
