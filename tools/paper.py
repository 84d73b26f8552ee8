"""Reproduce rows of the paper's tables: pre-train, rank, fine-tune, recognise, print the table.

    tools/paper.py table3 --rows d1 d3 final --seeds 0 1 --data-root MY_CATALOGUE
    tools/paper.py table2 --data fashiongen --gpus 8

Each step is a command of its own, with the config that it runs and its output in its folder below
--work-dir. What is there is passed over; a run that was stopped goes on from its last checkpoint.
Rows are those of Table 3, 'final', or any config that is named mvlt/ablations/... (on a catalogue
mvlt/ablations/catalogue/...). The small settings of a trial: --length and --tune-length.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config, DictAction

from mvlt.checkpoints.checkpoint import run_of
from mvlt.command_line import run_command
from mvlt.config import load_config
from mvlt.config_files import config_path, packaged_configs
from mvlt.files import file_sha256, write_json

TOOLS = Path(__file__).parent
TABLES = dict(
    table2=('final',),
    table3=(
        *('a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'b3', 'b4', 'c1', 'c2', 'c3', 'd1', 'd2', 'd3', 'e1'),
        'final',
    ),
    table4=('e1', 'final'),
)
PROTOCOLS = {'101': 'retrieval', '101x5': 'retrieval_101x5', 'full': 'retrieval_full'}
# configs beside a row's own, asked for by their whole name
_VARIANTS = ('c2_stroke_released', 'c3_square_released', 'e1_with_pvt')


class Step(NamedTuple):
    """A command and what it leaves.

    kind: 'pretrain', 'finetune', 'recognition', or a task with '_test'; steps of a kind take alike.
    checkpoint: what it trains, or what it tests.
    start: the checkpoint that a training starts from.
    """

    name: str
    kind: str
    config: Path
    folder: Path
    checkpoint: Path
    trains: bool
    start: Path | None = None

    @property
    def is_done(self) -> bool:
        """Whether its result is there, of this very checkpoint."""
        if self.trains:
            return self.checkpoint.is_file() and self._is_of_its_start
        results = self.folder / 'results.json'
        if not (results.is_file() and self.checkpoint.is_file()):
            return False
        found = json.loads(results.read_text('utf-8')).get('checkpoint_sha256')
        return found == file_sha256(self.checkpoint)

    @property
    def _is_of_its_start(self) -> bool:
        """Whether it was started from the checkpoint that is there now.

        Raises:
            ValueError: from another one.
        """
        if self.start is None or not self.start.is_file():
            return self.start is None
        started = run_of(str(self.checkpoint)).get('started_from', {}).get('experiment_name')
        if started != run_of(str(self.start)).get('experiment_name'):
            raise ValueError(
                f'{self.folder} was started from another {self.start.name} than {self.start}: '
                'delete that folder'
            )
        return True

    def command(self, gpus: int) -> list[str]:
        """What to run."""
        kind = 'train' if self.trains else 'test'
        more = ['--resume'] if self.trains else []
        weights = [] if self.trains else [str(self.checkpoint)]
        options = ['--work-dir', str(self.folder), *more]
        if gpus > 1:
            script = str(TOOLS / f'dist_{kind}.sh')
            return [script, str(self.config), *weights, str(gpus), *options]
        return [sys.executable, str(TOOLS / f'{kind}.py'), str(self.config), *weights, *options]


def main() -> None:
    """Parse, run what is missing, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('table', choices=TABLES)
    parser.add_argument('--rows', nargs='+', help='default: all of the table')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--data', choices=('catalogue', 'fashiongen'), default='catalogue')
    parser.add_argument('--data-root', help="default: the configs' own")
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/paper'))
    parser.add_argument('--protocols', nargs='+', choices=PROTOCOLS, default=['101'])
    parser.add_argument(
        '--finetune', action='store_true', help='fine-tune for retrieval too, and rank once more'
    )
    parser.add_argument(
        '--no-recognition', action='store_true', help='for data without two category levels'
    )
    parser.add_argument('--length', type=int, help='steps (Fashion-Gen: epochs) of pre-training')
    parser.add_argument('--tune-length', type=int, help='the same, of what is fine-tuned')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='of every pre-training, e.g. train_dataloader.batch_size=32',
    )
    parser.add_argument(
        '--test-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='of every ranking, e.g. test_cfg.num_candidates=50',
    )
    parser.add_argument('--gpus', type=int, default=1)
    parser.add_argument('--format', choices=('text', 'markdown', 'latex'), default='text')
    args = parser.parse_args()
    steps = [
        step
        for row in args.rows or _rows(args.table, args.data)
        for seed in args.seeds
        for step in plan(row, seed, args)
    ]
    run_all(steps, args.work_dir, args.gpus)
    tables = TOOLS / 'analysis_tools' / 'paper_tables.py'
    command = [sys.executable, str(tables), str(args.work_dir), '--format', args.format]
    sys.exit(subprocess.run(command, check=False).returncode)


def _rows(table: str, data: str) -> tuple[str, ...]:
    """A table's rows; on a catalogue E1 has a twin of its own, which needs ImageNet weights."""
    if data == 'catalogue' and table == 'table4':
        return ('e1', 'e1_with_pvt')
    return tuple(row for row in TABLES[table] if data != 'catalogue' or row != 'e1')


def config_of(row: str, data: str) -> Path:
    """The config that pre-trains a row.

    Raises:
        ValueError: no such row; the message lists them.
    """
    if row == 'final':
        return config_path(f'mvlt/pretrain_{data}')
    folder = f'mvlt/ablations{"/catalogue" if data == "catalogue" else ""}'
    known = {
        name.rpartition('/')[2]: config_path(name)
        for name in packaged_configs()
        if name.rpartition('/')[0] == folder
    }
    for name, path in known.items():
        if name == row or (name.startswith(f'{row}_') and name not in _VARIANTS):
            return path
    raise ValueError(f'--rows {row}: no such row; legal: final, {", ".join(known)}')


def plan(row: str, seed: int, args: argparse.Namespace) -> Iterator[Step]:
    """The steps of a row and a seed; writes their configs.

    Raises:
        ValueError: a step was begun with other settings.
    """
    path = config_of(row, args.data)
    folder = args.work_dir / f'{path.stem}_seed_{seed}'
    common = {'randomness.seed': seed}
    start = _shortened(path, {**args.cfg_options, **common}, args.length, args)

    def step(
        kind: str,
        config: Config,
        stem: str,
        checkpoint: Path | None = None,
        begin: Path | None = None,
    ) -> Step:
        own = folder / kind
        weights = checkpoint or own / _last(config)
        return Step(
            f'{path.stem}, seed {seed}: {kind}',
            kind,
            _write_config(config, own / 'config' / f'{stem}.py', args.gpus),
            own,
            weights,
            trains=checkpoint is None,
            start=begin,
        )

    first = step('pretrain', start, path.stem)
    yield first

    def test(name: str) -> Config:
        """A protocol: the model is the checkpoint's."""
        return load_config(f'mvlt/{name}', {**args.test_options, **common}, args.data_root)

    def tune(name: str) -> Config:
        options = _model_of(start, load_config(f'mvlt/{name}'))
        options |= {**common, 'load_from': str(first.checkpoint)}
        return _shortened(f'mvlt/{name}', options, args.tune_length, args)

    for protocol in args.protocols:
        name = f'{PROTOCOLS[protocol]}_{args.data}'
        yield step(f'{protocol}_test', test(name), name, first.checkpoint)
    if args.finetune:
        tuned = f'finetune_{args.data}'
        second = step('finetune', tune(tuned), tuned, begin=first.checkpoint)
        yield second
        for protocol in args.protocols:
            name, kind = f'{PROTOCOLS[protocol]}_{args.data}', f'{protocol}_finetune_test'
            yield step(kind, test(name), name, second.checkpoint)
    if not args.no_recognition:
        name = f'recognition_{args.data}'
        third = step('recognition', tune(name), name, begin=first.checkpoint)
        yield third
        yield step('recognition_test', tune(name), name, third.checkpoint)


def _shortened(
    path: str | Path, options: dict[str, Any], length: int | None, args: argparse.Namespace
) -> Config:
    """A config with options, trained for ``length``."""
    config = load_config(path, options, args.data_root)
    if length is None:
        return config
    return load_config(path, {**options, **shorter(config, length)}, args.data_root)


def _model_of(start: Config, config: Config) -> dict[str, Any]:
    """Options that give a task's config the sizes of the model that was pre-trained.

    Raises:
        ValueError: it was pre-trained on pictures of another side than the task reads.
    """
    sides = [one.model.backbone.image_size for one in (start, config)]
    if sides[0] != sides[1]:
        raise ValueError(
            f'pre-training at {sides[0]} pixels, {config.filename} reads {sides[1]}: another size '
            'needs configs of one own that say it (image_size), and tools/train.py, tools/test.py'
        )
    options: dict[str, Any] = {
        'model.backbone': dict(start.model.backbone.to_dict(), init_cfg=None, _delete_=True),
        'model.data_preprocessor': dict(start.model.data_preprocessor.to_dict(), _delete_=True),
    }
    for head in ('itm', 'mlm'):
        if config.model.heads.get(head):
            trained = start.model.heads.get(head)
            options[f'model.heads.{head}'] = trained and dict(trained.to_dict(), _delete_=True)
    return options


def shorter(config: Config, length: int) -> dict[str, Any]:
    """Options that train for another length: the warm-up stays, up to half of it.

    Raises:
        ValueError: a length below 2.
    """
    if length < 2:
        raise ValueError(f'a length of {length}: warm-up and the rest need 2 at least')
    unit = 'max_epochs' if 'max_epochs' in config.train_cfg else 'max_iters'
    saving = config.default_hooks.checkpoint.interval
    options = {
        f'train_cfg.{unit}': length,
        'default_hooks.checkpoint.interval': min(saving, length),
    }
    for name, scheduler in config.param_scheduler.items():
        for key in ('begin', 'end'):
            if key in scheduler:  # without an end it ends with the training
                options[f'param_scheduler.{name}.{key}'] = min(scheduler[key], length // 2)
    return options


def _last(config: Config) -> str:
    """Name of the checkpoint that a training ends with."""
    loop = config.train_cfg
    return f'epoch_{loop.max_epochs}.pth' if 'max_epochs' in loop else f'iter_{loop.max_iters}.pth'


def _write_config(config: Config, path: Path, gpus: int) -> Path:
    """Write a flat config; what was begun with another one, or more GPUs, is not gone on with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f'{config.pretty_text}gpus = {gpus}\n'  # the batch of all follows from it
    if path.is_file() and path.read_text('utf-8') != text:
        was, now = (set(one.splitlines()) for one in (path.read_text('utf-8'), text))
        then, asked = ('; '.join(sorted(one)[:2]) for one in (was - now, now - was))
        raise ValueError(
            f'{path.parent.parent} was begun with other settings ({then} then, {asked} now): '
            'delete it, or name another --work-dir'
        )
    path.write_text(text, 'utf-8')
    return path


def run_all(steps: Sequence[Step], folder: Path, gpus: int) -> None:
    """Run what is missing; say what is left to do and how long it will take.

    Raises:
        ValueError: a step failed; its output is named.
    """
    book = folder / 'times.json'
    times: dict[str, list[float]] = json.loads(book.read_text()) if book.is_file() else {}
    for place, step in enumerate(steps):
        if step.is_done:
            print(f'[{place + 1}/{len(steps)}] {step.name}: there', flush=True)
            continue
        behind = [one.kind for one in steps[place + 1 :] if not one.is_done]
        fresh = not any(step.folder.glob('*.pth'))
        started = time.monotonic()
        output = step.folder / 'output.txt'
        with output.open('w') as file:
            process = subprocess.Popen(
                step.command(gpus),
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, 'PYTHON': sys.executable},  # of dist_train.sh
            )
            _watch(process, f'[{place + 1}/{len(steps)}] {step.name}', output, behind, times)
        if process.returncode or not step.is_done:
            tail = '\n'.join(output.read_text(errors='replace').splitlines()[-15:])
            raise ValueError(f'{step.name} failed; the end of {output}:\n{tail}')
        if fresh:
            times.setdefault(step.kind, []).append(time.monotonic() - started)
            write_json(book, times)


def _watch(
    process: subprocess.Popen,
    name: str,
    output: Path,
    behind: Sequence[str],
    times: dict[str, list[float]],
) -> None:
    """Wait for a step, and print now and then what is left."""
    kind = output.parent.name
    started, pause = time.monotonic(), 5.0
    while True:
        try:
            process.wait(pause)
            break
        except subprocess.TimeoutExpired:
            pause = 60 if not sys.stdout.isatty() else 5
        except KeyboardInterrupt:
            process.wait()
            raise
        own = _eta(output)
        if own is None and kind in times:
            own = max(0.0, _usual(kind, times) - (time.monotonic() - started))
        known = (own or 0) + sum(_usual(one, times) for one in behind)
        unknown = {one for one in behind if one not in times} | ({kind} if own is None else set())
        said = f'{name}: {"?" if own is None else _clock(own)} left, of all {_clock(known)}'
        said += f' and what {", ".join(sorted(unknown))} will take' if unknown else ''
        print(f'\r\033[K{said}' if sys.stdout.isatty() else said, end='', flush=True)
        if not sys.stdout.isatty():
            print(flush=True)
    if sys.stdout.isatty():
        print('\r\033[K', end='')
    print(f'{name}: {_clock(time.monotonic() - started)}', flush=True)


def _usual(kind: str, times: dict[str, list[float]]) -> float:
    """Mean seconds of steps of a kind so far, 0 where there was none."""
    found = times.get(kind) or [0.0]
    return sum(found) / len(found)


def _eta(output: Path) -> float | None:
    """Seconds that the last line of a log which tells says are left; None where none does."""
    with output.open('rb') as file:
        file.seek(max(0, output.stat().st_size - 4000))
        text = file.read().decode(errors='replace')
    pattern = r'eta: (?:(\d+) days?, )?(\d+):(\d\d):(\d\d)|scored, (\d+) s left'
    found = re.findall(pattern, text)
    if not found:
        return None
    days, hours, minutes, seconds, scoring = (int(one or 0) for one in found[-1])
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds + scoring)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


if __name__ == '__main__':
    run_command(main)
