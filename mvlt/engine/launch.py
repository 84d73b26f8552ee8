"""From a settled config to a Runner, on one process or many, with or without GPUs."""

import os
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mvlt.engine.hooks.checkpoint import newest_checkpoint
from mvlt.registry import RUNNERS
from mvlt.trained.checkpoint import use_safe_files


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


def build_runner(config: Config, launcher: str = 'none', amp: bool = False) -> Runner:
    """Build the Runner of ``config``.

    Args:
        config: of :func:`mvlt.config.load_config`, with ``work_dir``.
        launcher: 'none', 'pytorch' (torchrun), 'slurm' or 'mpi'. Without a GPU torchrun's
            processes talk through gloo, which mmengine does not set up by itself.
        amp: train in bfloat16 (:class:`mvlt.engine.BFloat16OptimWrapper`).
    """
    use_safe_files()
    config.launcher = launcher
    if config.get('resume') and config.get('load_from') is None:
        config.load_from = newest_checkpoint(config.work_dir)
        config.resume = config.load_from is not None
    if amp:
        config.optim_wrapper.type = 'mvlt.BFloat16OptimWrapper'
    if launcher == 'pytorch' and not torch.cuda.is_available():
        if not torch.distributed.is_initialized():
            os.environ.setdefault('LOCAL_RANK', '0')
            timeout = timedelta(seconds=config.env_cfg.dist_cfg.get('timeout', 1800))
            torch.distributed.init_process_group('gloo', timeout=timeout)
        config.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=config.get('find_unused_parameters', False),
        )
    return RUNNERS.get(config.get('runner_type', 'QuietRunner')).from_cfg(config)
