"""Inject faults into a small real training and report the outcome.

    python -m tests.faults                       # all: about 10 minutes on two cores
    python -m tests.faults --kills 4 --only kills files

kills: kill -9 of a training that often saves a checkpoint of more than 200 MB; half of the kills
hit while saving. The run resumes, and its end is compared bit for bit with an uninterrupted run.
disk: a limit on file sizes while saving. resume: resumed against uninterrupted runs, over loops,
data workers, processes, gradient accumulation and moving averages. processes: a data worker or a
rank killed. files: tests/faults/faulty_files.py. Writes docs/results/<date>-faults.md.
"""

import argparse
import datetime
import os
import random
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from mvlt.config import load_config
from mvlt.engine.hooks.checkpoint import newest_checkpoint
from mvlt.files import write_text
from mvlt.tools.command_line import run_command
from tests.faults import training
from tests.faults.faulty_files import BAD, hostile, outcome
from tests.faults.runs import kill_rank

SMALL = {
    'model.backbone.embed_dims': (8, 16, 24, 32),
    'model.backbone.num_heads': (1, 1, 1, 1),
    'model.backbone.depths': (1, 1, 1, 1),
    'model.neck.channels': None,
}
# checkpoint above 200 MB: about 20 million weights and their two moments
LARGE = {
    'model.backbone.embed_dims': (64, 128, 320, 512),
    'model.backbone.num_heads': (1, 2, 5, 8),
    'model.backbone.depths': (2, 2, 2, 4),
    'model.neck.channels': None,
}
STEPS = 60

Row = tuple[str, str, str, str, str]  # fault, injected, survived, work lost, seconds to recover


def main() -> None:
    """Inject faults and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--only', nargs='+', choices=PARTS, default=list(PARTS))
    parser.add_argument('--kills', type=int, default=40)
    parser.add_argument('--seed', type=int, default=0, help='of the times of kills')
    parser.add_argument('--out', type=Path, default=Path('docs/results'))
    args = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        data = training.draw_data(Path(folder, 'data'))
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
    """Kill a training many times; compare its end with an uninterrupted run."""
    draw = random.Random(args.seed)
    config = training.config(folder, data, LARGE, STEPS, interval=2, keep=1)
    work_dir = folder / 'killed'
    kept_runs: dict[bool, list[tuple[int, float]]] = {True: [], False: []}
    lost: dict[bool, list[str]] = {True: [], False: []}
    caught = 0  # kills while a file was being written
    for number in range(args.kills):
        while_saving = number % 2 == 0
        if training.newest(work_dir) >= STEPS - 6:  # almost done: start again
            shutil.rmtree(work_dir)
        logs = len(training.logs(work_dir))
        began = time.monotonic()
        run = training.start(config, work_dir, '--resume')
        training.wait(run, partial(training.has_new_steps, work_dir, logs))
        recovered = time.monotonic() - began
        if while_saving:
            saving = partial(training.saving, work_dir, run.pid)
            for _ in range(draw.randint(0, 2)):  # not always the first save
                training.wait(run, saving)
                training.wait(run, lambda saving=saving: not saving())  # type: ignore[misc]
            training.wait(run, saving)
            time.sleep(draw.uniform(0, 0.1))
            caught += saving()
        else:
            time.sleep(draw.uniform(0, 4))
        completed = training.newest(work_dir)
        done = training.steps(work_dir)
        run.send_signal(signal.SIGKILL)
        run.wait()
        whole = newest_checkpoint(str(work_dir)) if work_dir.exists() else None
        kept = int(Path(whole).stem.split('_')[1]) if whole else 0
        cut = [path.name for path in work_dir.glob('*.pth') if not training.readable(path)]
        if kept < completed or cut:
            lost[while_saving].append(
                f'kill {number}: step {completed} saved, {kept} kept, truncated: {cut}'
            )
        kept_runs[while_saving].append((done - kept, recovered))
    size = max((path.stat().st_size for path in work_dir.glob('*.pth')), default=0) / 1e6
    for run_name, options in (('killed', ['--resume']), ('whole', [])):
        training.finish(training.start(config, folder / run_name, *options))
    same = training.same(folder / 'killed', folder / 'whole', STEPS)
    rows = []
    inside = f' ({caught} in the middle of the file)'
    for while_saving, name, more in (
        (True, 'while saving', inside),
        (False, 'at any time', ''),
    ):
        steps = [item for item, _ in kept_runs[while_saving]]
        seconds = [item for _, item in kept_runs[while_saving]]
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
                    f'{sum(seconds) / len(seconds):.1f}, with process start',
                )
            )
    verdict = 'bit for bit' if same else 'NOT the same'
    rows.append(('end after all kills against an uninterrupted run', '1', verdict, '0 steps', ''))
    return rows


def disk(args: argparse.Namespace, folder: Path, data: Path) -> list[Row]:
    """No room for a checkpoint: keep the old one, print a line, stop or continue."""
    rows = []
    for on_failure in ('stop', 'continue'):
        work_dir = folder / on_failure
        config = training.config(folder, data, SMALL, 6, interval=2, keep=1)
        settings = load_config(config)
        settings.default_hooks.checkpoint.on_failure = on_failure
        settings.dump(config)
        training.finish(training.start(config, work_dir, '--cfg-options', 'train_cfg.max_iters=2'))
        room = next(work_dir.glob('*.pth')).stat().st_size // 2
        run = training.start(
            config,
            work_dir,
            '--resume',
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, room)),
        )
        run.wait()
        output = training.log(work_dir).read_text()
        whole = newest_checkpoint(str(work_dir)) == str(work_dir / 'iter_2.pth')
        ended = run.returncode == (2 if on_failure == 'stop' else 0)
        explained = 'could not be written' in output and 'Free disk space' in output
        good = whole and ended and explained and not list(work_dir.glob('.*.partial'))
        rows.append(
            (f"no room while saving, on_failure='{on_failure}'", '1', str(int(good)), 'none', '')
        )
    return rows


def resume(args: argparse.Namespace, folder: Path, data: Path) -> list[Row]:
    """All combinations, stopped at step 4 of 6; with epochs, within the second one."""
    rows = []
    for epochs in (False, True):
        for workers in (0, 2):
            for processes in (1, 2):
                accumulate, average = (2, True) if workers else (3, False)
                config = training.config(folder, data, SMALL, 6, interval=1, keep=-1)
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
                training.finish(training.start(config, whole, processes=processes))
                more = ['--resume', str(whole / 'iter_4.pth')]
                training.finish(training.start(config, resumed, *more, processes=processes))
                rows.append(
                    (
                        f'stopped and resumed: loop in {"epochs" if epochs else "steps"}, '
                        f'{workers} data workers, {processes} processes, gradients of '
                        f'{accumulate} steps{", moving average" if average else ""}',
                        '1',
                        'bit for bit' if training.same(whole, resumed, 6) else 'NOT the same',
                        '0 steps',
                        '',
                    )
                )
    return rows


def processes(args: argparse.Namespace, folder: Path, data: Path) -> list[Row]:
    """Kill a data worker, and one of two ranks."""
    rows = []
    config = training.config(folder, data, SMALL, 400, interval=5, keep=1)
    options = ['--cfg-options', 'train_dataloader.num_workers=2']
    run = training.start(config, folder / 'worker', *options)
    training.wait(run, lambda: training.newest(folder / 'worker') >= 5)
    began = time.monotonic()
    os.kill(training.children(run.pid)[0], signal.SIGKILL)
    run.wait()
    output = training.log(folder / 'worker').read_text()
    seconds = f'{time.monotonic() - began:.1f} until it ended'
    good = run.returncode != 0 and 'error: DataLoader worker' in output
    rows.append(('data worker killed', '1', f'{int(good)}: ends with an error line', '', seconds))

    run = training.start(config, folder / 'rank', processes=2)
    training.wait(run, lambda: training.newest(folder / 'rank') >= 5)
    began = time.monotonic()
    kill_rank(1, folder / 'rank')
    run.wait()
    seconds = f'{time.monotonic() - began:.1f} until it ended'
    good = run.returncode != 0
    rows.append(('one of two ranks killed', '1', f'{int(good)}: all end', '', seconds))

    run = training.start(config, folder / 'restart', processes=2, MAX_RESTARTS='1')
    training.wait(run, lambda: training.newest(folder / 'restart') >= 5)
    began, before = time.monotonic(), training.steps(folder / 'restart')
    logs = len(training.logs(folder / 'restart'))
    kill_rank(1, folder / 'restart')
    kept = training.newest(folder / 'restart')
    training.wait(run, partial(training.has_new_steps, folder / 'restart', logs))
    seconds = f'{time.monotonic() - began:.1f}'
    run.wait()
    good = run.returncode == 0 and training.newest(folder / 'restart') == 400
    name = 'one of two ranks killed, MAX_RESTARTS=1'
    rows.append(
        (name, '1', f'{int(good)}: continues to the end', f'{before - kept} steps', seconds)
    )
    return rows


def files(args: argparse.Namespace, folder: Path, data: Path) -> list[Row]:
    """Read bad and hostile files."""
    marker = folder / 'ran'
    rows = []
    for name, cases in (('bad input', BAD), ('hostile file', hostile(marker))):
        wrong = []
        for number, case in enumerate(cases):
            case_folder = folder / f'{name[:3]}{number}'
            case_folder.mkdir(parents=True)
            problem = outcome(case, case_folder)
            if problem:
                wrong.append(f'{case.kind}: {problem}')
        good = f'{len(cases) - len(wrong)} named in an error, or read correctly'
        if name == 'hostile file':
            good += f'; {int(marker.exists())} ran'
        kinds = ', '.join(case.kind for case in cases)
        rows.append((f'{name}: {kinds}', str(len(cases)), '; '.join([good, *wrong]), '', ''))
    return rows


PARTS: dict[str, Callable[[argparse.Namespace, Path, Path], list[Row]]] = dict(
    files=files, kills=kills, disk=disk, resume=resume, processes=processes
)


if __name__ == '__main__':
    run_command(main)
