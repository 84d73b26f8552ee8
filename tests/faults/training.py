"""A small training for fault injection: start, watch, compare."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.config import load_config
from mvlt.datasets import train_tokenizer
from mvlt.tools.dataset_converters.make_demo_data import draw_products, write_fashion_gen
from tests.faults.runs import difference, free_port

TOOLS = Path(__file__).parents[2] / 'tools'
CONFIG = TOOLS.parent / 'configs/demo/pretrain_demo.py'


def draw_data(root: Path) -> Path:
    root.mkdir()
    train, validation = draw_products(4, seed=0), draw_products(2, seed=1, first_id=1000)
    for name, products in dict(train=train, validation=validation).items():
        list(write_fashion_gen(root / f'fashiongen_64_64_{name}.h5', products, views=2, side=64))
    captions = [f'{product.name}. {product.description}' for product in (*train, *validation)]
    train_tokenizer(captions, root / 'tokenizer', 1000)
    return root


def config(
    folder: Path, data: Path, model: dict[str, Any], steps: int, interval: int, keep: int
) -> Path:
    """Write a config: the demo's pre-training, small, with a short schedule."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        **model,
        'train_dataloader.batch_size': 8,
        'default_hooks.checkpoint.interval': interval,
        'default_hooks.checkpoint.max_keep_ckpts': keep,
        'default_hooks.logger.interval': 1,
        'train_cfg.max_iters': steps,
        'val_cfg': None,
        'param_scheduler.warmup.end': 3,
        'param_scheduler.decay.begin': 3,
    }
    config = load_config(CONFIG, options, str(data))
    config.default_hooks.pop('pictures')
    path = folder / 'config.py'
    config.dump(path)
    return path


def start(
    config: Path,
    work_dir: Path,
    *options: str,
    processes: int = 1,
    preexec_fn: Callable[[], None] | None = None,
    **environment: str,
) -> subprocess.Popen:
    command = [sys.executable, str(TOOLS / 'train.py'), str(config)]
    if processes > 1:
        environment['PORT'] = str(free_port())
        command = [str(TOOLS / 'dist_train.sh'), str(config), str(processes)]
    threads = '1' if processes > 1 else '2'
    return subprocess.Popen(
        [*command, '--work-dir', str(work_dir), *options],
        env={**os.environ, 'OMP_NUM_THREADS': threads, 'PYTHON': sys.executable, **environment},
        stdout=log(work_dir).open('a'),
        stderr=subprocess.STDOUT,
        preexec_fn=preexec_fn,
    )


def log(work_dir: Path) -> Path:
    """Output of a work dir's runs."""
    return work_dir.with_suffix('.log')


def finish(run: subprocess.Popen) -> None:
    if run.wait():
        raise ValueError(f'a run without faults failed: {run.args!r}')


def wait(run: subprocess.Popen, until: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for a condition or the end of the run."""
    deadline = time.monotonic() + seconds
    while not until() and run.poll() is None:
        if time.monotonic() > deadline:
            run.kill()
            raise ValueError(f'no progress for {seconds:.0f} s')
        time.sleep(0.005)


def saving(work_dir: Path, pid: int) -> bool:
    return any(work_dir.glob(f'.*.pth.{pid}.partial'))


def newest(work_dir: Path) -> int:
    """Step of the newest checkpoint by file name."""
    return max((int(path.stem.split('_')[1]) for path in work_dir.glob('iter_*.pth')), default=0)


def steps(work_dir: Path) -> int:
    """The last logged step."""
    lines = [
        line
        for log in logs(work_dir)[-1:]
        for line in log.read_text().splitlines()
        if '"step"' in line
    ]
    return int(lines[-1].rpartition('"step": ')[2].rstrip('}')) if lines else 0


def logs(work_dir: Path) -> list[Path]:
    return sorted(work_dir.glob('*/vis_data/scalars.json'))


def has_new_steps(work_dir: Path, before: int) -> bool:
    return len(logs(work_dir)) > before and steps(work_dir) > 0


def readable(path: Path) -> bool:
    try:
        return bool(read_checkpoint(str(path)))
    except (OSError, ValueError):
        return False


def same(run_a: Path, run_b: Path, step: int) -> bool:
    """Whether two runs have equal weights, averages and optimizer states."""
    keys = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
    first, second = (read_checkpoint(str(folder / f'iter_{step}.pth')) for folder in (run_a, run_b))
    return all(difference(first.get(key), second.get(key)) is None for key in keys)


def children(pid: int) -> Sequence[int]:
    """Ids of a process's children, e.g. data workers."""
    listed = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    return [int(child) for child in listed]
