"""Inject faults into a small real training and write down what was survived.

    python -m tests.faults                       # all: about 10 minutes on two cores
    python -m tests.faults --kills 4 --only kills files

kills: kill -9 of a training that saves a checkpoint of more than 200 MB again and again and keeps
one; half of them while it is being written. The same command then goes on; the end is compared,
bit for bit, with a run that was never killed. disk: a limit on the size of files while saving.
resume: stopped and resumed against uninterrupted, over loops, data workers, processes, gradient
accumulation and moving averages. processes: a data worker or a rank killed. files: what
tests/faults/faulty_files.py makes. Writes docs/results/<date>-faults.md.
"""

import argparse
import datetime
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mvlt.command_line import run_command
from mvlt.config import load_config
from mvlt.datasets import train_vocabulary
from mvlt.datasets.synthetic import draw_products, write_fashion_gen
from mvlt.engine.hooks.checkpoint import newest_checkpoint
from mvlt.files import write_text
from mvlt.trained.checkpoint import read_checkpoint
from tests.faults.faulty_files import BAD, hostile, outcome
from tests.faults.runs import difference, free_port, kill_rank

TOOLS = Path(__file__).parents[2] / 'tools'
CONFIG = TOOLS.parent / 'configs/demo/pretrain_demo.py'
SMALL = {
    'model.backbone.embed_dims': (8, 16, 24, 32),
    'model.backbone.num_heads': (1, 1, 1, 1),
    'model.backbone.depths': (1, 1, 1, 1),
    'model.neck.channels': None,
}
# a checkpoint of more than 200 MB: some 20 million weights and their two moments
LARGE = {
    'model.backbone.embed_dims': (64, 128, 320, 512),
    'model.backbone.num_heads': (1, 2, 5, 8),
    'model.backbone.depths': (2, 2, 2, 4),
    'model.neck.channels': None,
}
STEPS = 60

Row = tuple[str, str, str, str, str]  # fault, injected, survived, work lost, seconds to recover


def main() -> None:
    """Parse, inject, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--only', nargs='+', choices=PARTS, default=list(PARTS))
    parser.add_argument('--kills', type=int, default=40)
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    parser.add_argument('--out', type=Path, default=Path('docs/results'))
    args = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        data = _draw_data(Path(folder, 'data'))
        for part in args.only:
            for row in PARTS[part](args, Path(folder, part), data):
                print(' | '.join(row), flush=True)
                rows.append(row)
    table = [f'| {" | ".join(row)} |' for row in rows]
    today = datetime.date.today()
    command = f'python -m tests.faults --kills {args.kills} --only {" ".join(args.only)}'
    lines = [
        '# Faults injected',
        '',
        f'{today}, torch {torch.__version__}, {os.cpu_count()} cores. Command: `{command}`.',
        '',
        '| fault | injected | survived | work lost | seconds to recover |',
        '|---|---|---|---|---|',
        *table,
    ]
    path = args.out / f'{today}-faults.md'
    write_text(path, '\n'.join(lines) + '\n')
    print(path)


def kills(args: argparse.Namespace, folder: Path, data: Path) -> list[Row]:
    """Kill a training again and again; compare its end with that of one that was left alone."""
    draw = random.Random(args.seed)
    config = _config(folder, data, LARGE, STEPS, interval=2, keep=1)
    work_dir = folder / 'killed'
    found: dict[bool, list[tuple[int, float]]] = {True: [], False: []}
    lost: dict[bool, list[str]] = {True: [], False: []}
    caught = 0  # in the middle of writing
    for number in range(args.kills):
        while_saving = number % 2 == 0
        if _newest(work_dir) >= STEPS - 6:  # begin again: there is to be something left to kill
            shutil.rmtree(work_dir)
        logs = len(_logs(work_dir))
        began = time.monotonic()
        run = _start(config, work_dir, '--resume')
        _wait(run, partial(_steps_of_its_own, work_dir, logs))
        recovered = time.monotonic() - began
        if while_saving:
            saving = partial(_saving, work_dir, run.pid)
            for _ in range(draw.randint(0, 2)):  # not always the first
                _wait(run, saving)
                _wait(run, lambda saving=saving: not saving())  # type: ignore[misc]
            _wait(run, saving)
            time.sleep(draw.uniform(0, 0.1))
            caught += saving()
        else:
            time.sleep(draw.uniform(0, 4))
        completed = _newest(work_dir)
        done = _steps(work_dir)
        run.send_signal(signal.SIGKILL)
        run.wait()
        whole = newest_checkpoint(str(work_dir)) if work_dir.exists() else None
        kept = int(Path(whole).stem.split('_')[1]) if whole else 0
        cut = [path.name for path in work_dir.glob('*.pth') if not _readable(path)]
        if kept < completed or cut:
            lost[while_saving].append(
                f'kill {number}: step {completed} was saved, {kept} found, cut: {cut}'
            )
        found[while_saving].append((done - kept, recovered))
    size = max((path.stat().st_size for path in work_dir.glob('*.pth')), default=0) / 1e6
    for run_name, options in (('killed', ['--resume']), ('whole', [])):
        _finish(_start(config, folder / run_name, *options))
    same = _same(folder / 'killed', folder / 'whole', STEPS)
    rows = []
    inside = f' ({caught} caught in the middle of the file)'
    for while_saving, name, more in (
        (True, 'while saving', inside),
        (False, 'at any moment', ''),
    ):
        steps = [one for one, _ in found[while_saving]]
        seconds = [one for _, one in found[while_saving]]
        wrong = lost[while_saving]
        if steps:
            rows.append(
                (
                    f'`kill -9` {name}{more}, one checkpoint of {size:.0f} MB kept, '
                    'saved every 2 steps',
                    str(len(steps)),
                    '; '.join([str(len(steps) - len(wrong)), *wrong]),
                    f'{sum(steps) / len(steps):.1f} steps, at most {max(steps)}; '
                    f'completed checkpoints: {len(wrong)}',
                    f'{sum(seconds) / len(seconds):.1f}, process start included',
                )
            )
    verdict = 'bit for bit' if same else 'NOT the same'
    rows.append(('end after all kills against a run without any', '1', verdict, '0 steps', ''))
    return rows


def disk(args: argparse.Namespace, folder: Path, data: Path) -> list[Row]:
    """No room for a checkpoint: the old one stays, a line is said, the run stops or goes on."""
    rows = []
    for on_failure in ('stop', 'continue'):
        work_dir = folder / on_failure
        config = _config(folder, data, SMALL, 6, interval=2, keep=1)
        settings = load_config(config)
        settings.default_hooks.checkpoint.on_failure = on_failure
        settings.dump(config)
        _finish(_start(config, work_dir, '--cfg-options', 'train_cfg.max_iters=2'))
        room = next(work_dir.glob('*.pth')).stat().st_size // 2
        run = _start(
            config,
            work_dir,
            '--resume',
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, room)),
        )
        run.wait()
        output = _log(work_dir).read_text()
        whole = newest_checkpoint(str(work_dir)) == str(work_dir / 'iter_2.pth')
        ended = run.returncode == (2 if on_failure == 'stop' else 0)
        said = 'could not be written' in output and 'Make room' in output
        good = whole and ended and said and not list(work_dir.glob('.*.partial'))
        rows.append(
            (f"no room while saving, on_failure='{on_failure}'", '1', str(int(good)), 'none', '')
        )
    return rows


def resume(args: argparse.Namespace, folder: Path, data: Path) -> list[Row]:
    """Every combination, stopped at step 4 of 6, which in epochs is within the second."""
    rows = []
    for epochs in (False, True):
        for workers in (0, 2):
            for processes in (1, 2):
                accumulate, average = (2, True) if workers else (3, False)
                config = _config(folder, data, SMALL, 6, interval=1, keep=-1)
                settings = load_config(config)
                settings.train_dataloader.num_workers = workers
                settings.optim_wrapper.accumulative_counts = accumulate
                if average:
                    settings.default_hooks.average = dict(
                        type='EMAHook', ema_type='ExponentialMovingAverage'
                    )
                if epochs:
                    settings.train_dataloader.dataset.dataset.indices = 24 * processes
                    settings.train_dataloader.sampler = dict(type='EpochSampler', shuffle=True)
                    settings.train_cfg = dict(type='EpochTrainLoop', max_epochs=2)
                settings.dump(config)
                name = f'{"epochs" if epochs else "steps"}_{workers}_{processes}'
                whole, resumed = folder / name, folder / f'{name}_resumed'
                _finish(_start(config, whole, processes=processes))
                more = ['--resume', str(whole / 'iter_4.pth')]
                _finish(_start(config, resumed, *more, processes=processes))
                rows.append(
                    (
                        f'stopped and resumed: loop in {"epochs" if epochs else "steps"}, '
                        f'{workers} data workers, {processes} processes, gradients of '
                        f'{accumulate} steps{", moving average" if average else ""}',
                        '1',
                        'bit for bit' if _same(whole, resumed, 6) else 'NOT the same',
                        '0 steps',
                        '',
                    )
                )
    return rows


def processes(args: argparse.Namespace, folder: Path, data: Path) -> list[Row]:
    """A data worker, and one of two ranks, killed in the middle."""
    rows = []
    config = _config(folder, data, SMALL, 400, interval=5, keep=1)
    options = ['--cfg-options', 'train_dataloader.num_workers=2']
    run = _start(config, folder / 'worker', *options)
    _wait(run, lambda: _newest(folder / 'worker') >= 5)
    began = time.monotonic()
    os.kill(_children(run.pid)[0], signal.SIGKILL)
    run.wait()
    output = _log(folder / 'worker').read_text()
    seconds = f'{time.monotonic() - began:.1f} until it ended'
    good = run.returncode != 0 and 'error: DataLoader worker' in output
    rows.append(('data worker killed', '1', f'{int(good)}: ends with a line', '', seconds))

    run = _start(config, folder / 'rank', processes=2)
    _wait(run, lambda: _newest(folder / 'rank') >= 5)
    began = time.monotonic()
    kill_rank(1, folder / 'rank')
    run.wait()
    seconds = f'{time.monotonic() - began:.1f} until it ended'
    good = run.returncode != 0
    rows.append(('one of two ranks killed', '1', f'{int(good)}: all end', '', seconds))

    run = _start(config, folder / 'restart', processes=2, MAX_RESTARTS='1')
    _wait(run, lambda: _newest(folder / 'restart') >= 5)
    began, before = time.monotonic(), _steps(folder / 'restart')
    logs = len(_logs(folder / 'restart'))
    kill_rank(1, folder / 'restart')
    kept = _newest(folder / 'restart')
    _wait(run, partial(_steps_of_its_own, folder / 'restart', logs))
    seconds = f'{time.monotonic() - began:.1f}'
    run.wait()
    good = run.returncode == 0 and _newest(folder / 'restart') == 400
    name = 'one of two ranks killed, MAX_RESTARTS=1'
    rows.append((name, '1', f'{int(good)}: goes on to the end', f'{before - kept} steps', seconds))
    return rows


def files(args: argparse.Namespace, folder: Path, data: Path) -> list[Row]:
    """Bad and hostile files, each read by what reads its kind."""
    marker = folder / 'ran'
    rows = []
    for name, cases in (('bad input', BAD), ('hostile file', hostile(marker))):
        wrong = []
        for number, case in enumerate(cases):
            place = folder / f'{name[:3]}{number}'
            place.mkdir(parents=True)
            said = outcome(case, place)
            if said:
                wrong.append(f'{case.kind}: {said}')
        good = f'{len(cases) - len(wrong)} named, or read as they should be'
        if name == 'hostile file':
            good += f'; {int(marker.exists())} ran'
        kinds = ', '.join(case.kind for case in cases)
        rows.append((f'{name}: {kinds}', str(len(cases)), '; '.join([good, *wrong]), '', ''))
    return rows


PARTS: dict[str, Callable[[argparse.Namespace, Path, Path], list[Row]]] = dict(
    files=files, kills=kills, disk=disk, resume=resume, processes=processes
)


def _draw_data(root: Path) -> Path:
    root.mkdir()
    train, validation = draw_products(4, seed=0), draw_products(2, seed=1, first_id=1000)
    for name, products in dict(train=train, validation=validation).items():
        list(write_fashion_gen(root / f'fashiongen_64_64_{name}.h5', products, views=2, side=64))
    captions = [f'{one.name}. {one.description}' for one in (*train, *validation)]
    train_vocabulary(captions, root / 'vocabulary', 1000)
    return root


def _config(
    folder: Path, data: Path, model: dict[str, Any], steps: int, interval: int, keep: int
) -> Path:
    """A config file of one's own: the demo's pre-training, small, with a short schedule."""
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


def _start(
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
        stdout=_log(work_dir).open('a'),
        stderr=subprocess.STDOUT,
        preexec_fn=preexec_fn,
    )


def _log(work_dir: Path) -> Path:
    """What the runs of a work dir have printed."""
    return work_dir.with_suffix('.log')


def _finish(run: subprocess.Popen) -> None:
    if run.wait():
        raise ValueError(f'a run that nothing was done to failed: {run.args!r}')


def _wait(run: subprocess.Popen, until: Callable[[], bool], seconds: float = 120) -> None:
    """Until something is so, or the run has ended."""
    deadline = time.monotonic() + seconds
    while not until() and run.poll() is None:
        if time.monotonic() > deadline:
            run.kill()
            raise ValueError(f'nothing for {seconds:.0f} s')
        time.sleep(0.005)


def _saving(work_dir: Path, pid: int) -> bool:
    return any(work_dir.glob(f'.*.pth.{pid}.partial'))


def _newest(work_dir: Path) -> int:
    """Step of the newest file that has a checkpoint's name."""
    return max((int(path.stem.split('_')[1]) for path in work_dir.glob('iter_*.pth')), default=0)


def _steps(work_dir: Path) -> int:
    """The last step that a log tells of."""
    lines = [
        line
        for log in _logs(work_dir)[-1:]
        for line in log.read_text().splitlines()
        if '"step"' in line
    ]
    return int(lines[-1].rpartition('"step": ')[2].rstrip('}')) if lines else 0


def _logs(work_dir: Path) -> list[Path]:
    return sorted(work_dir.glob('*/vis_data/scalars.json'))


def _steps_of_its_own(work_dir: Path, logs: int) -> bool:
    return len(_logs(work_dir)) > logs and _steps(work_dir) > 0


def _readable(path: Path) -> bool:
    try:
        return bool(read_checkpoint(str(path)))
    except (OSError, ValueError):
        return False


def _same(one: Path, other: Path, step: int) -> bool:
    """Whether two runs ended with the same weights, averages and states of the optimizer."""
    keys = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
    first, second = (read_checkpoint(str(folder / f'iter_{step}.pth')) for folder in (one, other))
    return all(difference(first.get(key), second.get(key)) is None for key in keys)


def _children(pid: int) -> Sequence[int]:
    """Data workers of a process."""
    listed = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    return [int(child) for child in listed]


if __name__ == '__main__':
    run_command(main)
