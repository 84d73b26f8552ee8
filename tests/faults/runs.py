"""Trainings in other processes: free ports, killed ranks, differences."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import torch


def free_port() -> int:
    """A free TCP port."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def kill_rank(rank: int, work_dir: Path) -> None:
    """`kill -9` a rank's process, identified by command line and environment.

    Raises:
        ValueError: no such process.
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


def difference(first: Any, second: Any, path: str = '') -> str | None:
    """Path of the first difference of two nested structures; None = equal."""
    if type(first) is not type(second):
        return path or '.'
    if isinstance(first, torch.Tensor):
        return None if torch.equal(first, second) else path
    if isinstance(first, dict | list | tuple):
        if isinstance(first, dict):
            if first.keys() != second.keys():
                return path or '.'
            pairs = {key: (value, second[key]) for key, value in first.items()}
        else:
            if len(first) != len(second):
                return path or '.'
            pairs = dict(enumerate(zip(first, second)))
        differences = (difference(*pair, f'{path}.{key}') for key, pair in pairs.items())
        return next((where for where in differences if where), None)
    return None if first == second else path or '.'
