"""From a config to a Runner, on one process or many, with or without GPUs."""

import os
from datetime import timedelta
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mvlt.checkpoints.checkpoint import use_safe_files
from mvlt.engine.resolve import Task, resolve
from mvlt.registry import RUNNERS


def busy_cores() -> str | None:
    """What to do where other programs keep this machine's cores busy; None = nothing.

    Threads of one program wait for each other at every operation; where one of them gets no core,
    all do: seven times as long a step was measured (docs/results/2026-11-28-new-users.md).
    """
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    busy = os.getloadavg()[0] if hasattr(os, 'getloadavg') else 0.0
    if torch.cuda.is_available() or threads == 1 or busy < cores / 2:
        return None
    return (
        f'other programs ask for {busy:.1f} cores of {cores}: {threads} threads that wait for each '
        'other are then many times slower than one; better stop, and start with OMP_NUM_THREADS=1 '
        'in front of the command'
    )


def build_runner(
    config: Config, task: Task = 'train', model: str | None = None, **options: Any
) -> Runner:
    """Resolve a config and build its Runner.

    Without a GPU torchrun's processes talk through gloo, which mmengine does not set up by itself.

    Args:
        config: of :func:`mvlt.config.load_config`.
        task, model, options: see :func:`mvlt.engine.resolve`.
    """
    use_safe_files()
    without_gpu = options.get('launcher') == 'pytorch' and not torch.cuda.is_available()
    if without_gpu and not torch.distributed.is_initialized():
        os.environ.setdefault('LOCAL_RANK', '0')
        timeout = timedelta(seconds=config.env_cfg.dist_cfg.get('timeout', 1800))
        torch.distributed.init_process_group('gloo', timeout=timeout)
    config = resolve(config, task, model, **options)
    runner = RUNNERS.build(config)
    for line in config.resolved:
        runner.logger.info(f'resolved: {line}')
    return runner
