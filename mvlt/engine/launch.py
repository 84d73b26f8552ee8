"""From a config to a Runner, with any number of processes and GPUs."""

import os
from datetime import timedelta
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mvlt.checkpoints.checkpoint import use_safe_files
from mvlt.engine.resolve import Task, resolve
from mvlt.registry import RUNNERS


def build_runner(
    config: Config, task: Task = 'train', model: str | None = None, **options: Any
) -> Runner:
    """Resolve a config and build its Runner.

    Without a GPU, torchrun's processes use gloo, which mmengine does not set up.

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
