"""mmengine's forms of a config's values; work dir, launcher and device."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mvlt.engine.resolve.run import Run

_MMENGINE_HOOKS = (
    *('runtime_info', 'timer', 'sampler_seed'),
    *('logger', 'param_scheduler', 'checkpoint'),
)


def settle_forms(run: Run) -> None:
    """Turn schedulers into a list; drop hooks and validation that are None.

    A scheduler that begins after the end of the training is dropped.
    """
    config = run.config
    schedulers = config.get('param_scheduler')
    if isinstance(schedulers, dict) and 'type' not in schedulers:
        schedulers = list(schedulers.values())
    if isinstance(schedulers, list):
        loop = config.get('train_cfg') or {}
        by_epoch = 'max_epochs' in loop
        length = loop.get('max_epochs' if by_epoch else 'max_iters', float('inf'))

        def acts(scheduler: Mapping[str, Any]) -> bool:
            same_unit = scheduler.get('by_epoch', True) == by_epoch
            begins = scheduler.get('begin', 0) < length
            return 'end' in scheduler or not same_unit or begins

        config.param_scheduler = [item for item in filter(None, schedulers) if acts(item)]
        for item in filter(None, schedulers):
            if not acts(item):
                kind = str(item['type']).rpartition('.')[2]
                run.note(f'param_scheduler: without {kind}, it begins at {item["begin"]}')
    if 'val_cfg' in config and config.val_cfg is None:
        config.val_dataloader = config.val_evaluator = None
    hooks = config.get('default_hooks') or {}
    for name in [key for key in hooks if hooks[key] is None and key not in _MMENGINE_HOOKS]:
        del hooks[name]


def settle_runtime(run: Run, work_dir: str | None, launcher: str, amp: bool) -> None:
    """Set work dir, Runner, precision and what depends on GPUs."""
    config = run.config
    config.work_dir = work_dir_of(config, work_dir)
    config.launcher = launcher
    config.setdefault('runner_type', 'mvlt.QuietRunner')
    if amp:
        config.optim_wrapper.type = 'mvlt.BFloat16OptimWrapper'
        run.note('optim_wrapper: bfloat16 (--amp)')
    if launcher == 'pytorch' and not torch.cuda.is_available():
        config.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=config.get('find_unused_parameters', False),
        )
    if not torch.cuda.is_available() and config.get('sync_bn'):
        config.sync_bn = None
        if launcher != 'none':
            run.note('sync_bn: none, PyTorch has it on GPUs only; processes count apart')


def work_dir_of(config: Config, work_dir: str | None = None) -> str:
    """The folder of a run: ``work_dir``, else the config's, else work_dirs/<name of its file>."""
    stem = Path(str(config.filename or 'run')).stem
    return work_dir or config.get('work_dir') or str(Path('work_dirs') / stem)
