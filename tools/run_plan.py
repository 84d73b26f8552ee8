"""Resumable plans: commands that run one after the other.

Run the same steps again to resume: finished steps are skipped, a training continues from its last
checkpoint. A step's folder holds its config (``config/``), its output (``output.txt``) and its time
(``time.json``).
"""

import os
import re
import resource
import shlex
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from mmengine.config import Config

from mvlt.checkpoints.checkpoint import run_of
from mvlt.config import load_config
from mvlt.files import file_sha256, read_json, write_json

TOOLS = Path(__file__).resolve().parent


class Step(NamedTuple):
    """A command and its result file.

    name: steps with the same name after the last colon take about the same time.
    command: a script below tools/ and its arguments.
    needs: the checkpoint to train on, evaluate or publish; the result must belong to it.
    """

    name: str
    folder: Path
    command: Sequence[str]
    result: Path
    needs: Path | None = None

    @property
    def kind(self) -> str:
        """The name after the last colon."""
        return self.name.rpartition(': ')[2]

    @property
    def is_done(self) -> bool:
        """Whether the result exists, is complete and belongs to the checkpoint.

        Raises:
            ValueError: a model was made from another checkpoint.
        """
        if not self.result.is_file() or (self.needs and not self.needs.is_file()):
            return False
        if self.needs and self.result.suffix == '.json':
            results = read_json(str(self.result), 'delete it')
            return results.get('checkpoint_sha256') == file_sha256(self.needs)
        if self.result.suffix not in ('.pth', '.safetensors'):
            return True
        try:
            training = run_of(str(self.result))
        except ValueError:  # truncated
            return False
        starts = (training, training.get('started_from') or {})
        names = [run.get('experiment_name') for run in starts]
        if self.needs and run_of(str(self.needs)).get('experiment_name') not in names:
            raise ValueError(
                f'{self.result.parent} was made from another {self.needs.name}, not from '
                f'{self.needs}: delete that folder'
            )
        return True


def config_step(
    name: str,
    config: Config,
    folder: Path,
    checkpoint: Path | None = None,
    start: Path | None = None,
    gpus: int = 1,
) -> Step:
    """A step that trains a config, or evaluates ``checkpoint`` by it.

    Args:
        start: the checkpoint that the training starts from.

    Raises:
        ValueError: the folder was started with another config or number of GPUs.
    """
    tool, more = ('test', [str(checkpoint)]) if checkpoint else ('train', [])
    script = f'dist_{tool}.sh' if gpus > 1 else f'{tool}.py'
    more += [str(gpus)] if gpus > 1 else []
    path = str(keep_config(config, folder, gpus))
    command = (script, path, *more, '--work-dir', str(folder))
    if checkpoint:
        return Step(name, folder, command, folder / 'results.json', checkpoint)
    loop = config.train_cfg
    last = f'epoch_{loop.max_epochs}' if 'max_epochs' in loop else f'iter_{loop.max_iters}'
    return Step(name, folder, (*command, '--resume'), folder / f'{last}.pth', start)


def keep_config(config: Config, folder: Path, gpus: int = 1) -> Path:
    """Write a flat config into its step's folder.

    Raises:
        ValueError: the step was started with another config.
    """
    path = folder / 'config' / f'{Path(config.filename).stem}.py'
    text = f'{config.pretty_text}gpus = {gpus}\n'  # determines the total batch size
    if path.is_file() and path.read_text('utf-8') != text:
        old, new = _flat(load_config(path).to_dict()), _flat(dict(config.to_dict(), gpus=gpus))
        changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        changes = (f'{key} {old.get(key)} then, {new.get(key)} now' for key in changed[:3])
        raise ValueError(
            f'{folder} was started with other settings ({"; ".join(changes)}): delete it, or give '
            'another --work-dir'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, 'utf-8')
    return path


def _flat(settings: Mapping[str, Any], before: str = '') -> dict[str, Any]:
    """Dotted key -> value."""
    values: dict[str, Any] = {}
    for key, value in settings.items():
        inner = isinstance(value, Mapping)
        values |= _flat(value, f'{before}{key}.') if inner else {f'{before}{key}': value}
    return values


def run(steps: Sequence[Step], work_dir: Path, **environment: str) -> None:
    """Run unfinished steps in order; print the remaining time.

    Args:
        work_dir: folder of all steps; finished ones give the time of others of their kind.
        environment: variables for the commands.

    Raises:
        ValueError: a step failed.
    """
    for number, step in enumerate(steps, 1):
        title = f'[{number}/{len(steps)}] {step.name}'
        if step.is_done:
            print(f'{title}: done before', flush=True)
            continue
        command = [str(TOOLS / step.command[0]), *step.command[1:]]
        command = [sys.executable, *command] if command[0].endswith('.py') else command
        typed = shlex.join(command).replace(f'{Path.cwd()}/', '')
        print(f'{title}\n$ {typed}', flush=True)
        later = [step.kind for step in steps[number:] if not step.result.is_file()]
        usual = _usual_seconds(work_dir)
        status = _execute(step, command, environment, title, [step.kind, *later], usual)
        if status or not step.is_done:
            output = step.folder / 'output.txt'
            lines = output.read_text('utf-8', 'replace').splitlines() or ['no output']
            reason = next((line for line in lines if line.startswith('error: ')), lines[-1])
            reason = reason.removeprefix('error: ') if status else f'{step.result} is missing'
            raise ValueError(
                f'{step.name}: {reason} (status {status}, output in {output}); run this again to '
                f'resume, or run the step alone: {typed}'
            )


def _execute(
    step: Step,
    command: Sequence[str],
    environment: Mapping[str, str],
    title: str,
    kinds: Sequence[str],
    usual: Mapping[str, float],
) -> int:
    """Run a command, print the remaining time, write ``time.json``; return the exit status."""
    step.folder.mkdir(parents=True, exist_ok=True)
    record = step.folder / 'time.json'
    resumes = '--resume' in command and record.is_file() and any(step.folder.glob('*.pth'))
    earlier = cpu_seconds(step.folder) if resumes else 0.0
    started, cpu = time.monotonic(), _cpu_of_commands()
    begin, end, pause = ('\r\033[K', '', 5) if sys.stdout.isatty() else ('', '\n', 60)
    environment = {**os.environ, 'PYTHON': sys.executable, **environment}  # PYTHON: for dist_*.sh
    with open(step.folder / 'output.txt', 'wb') as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(pause)
                break
            left = _time_left(step.folder, kinds, usual, time.monotonic() - started)
            print(f'{begin}{title}: {left}', end=end, flush=True)
    except KeyboardInterrupt as error:
        process.wait()  # a training saves a checkpoint
        raise KeyboardInterrupt('run the same command to resume') from error
    finally:
        seconds = time.monotonic() - started
        times = dict(kind=step.kind, cpu_seconds=earlier + _cpu_of_commands() - cpu)
        whole = dict(seconds=seconds) if process.returncode == 0 and not resumes else {}
        write_json(record, times | whole)
    print(f'{begin}{title}: {_clock(seconds)}', flush=True)
    return process.returncode


def _time_left(
    folder: Path, kinds: Sequence[str], usual: Mapping[str, float], elapsed: float
) -> str:
    """Remaining time of the running step and of all steps."""
    left = [usual.get(kind) for kind in kinds]
    left[0] = None if left[0] is None else max(0.0, left[0] - elapsed)
    if (logged := _logged_eta(folder)) is not None:
        left[0] = logged
    unknown = sorted({kind for kind, seconds in zip(kinds, left) if seconds is None})
    first = '?' if left[0] is None else _clock(left[0])
    rest = f' plus {", ".join(unknown)}' if unknown else ''
    return f'{first} left, in all {_clock(sum(filter(None, left)))}{rest}'


def _usual_seconds(work_dir: Path) -> dict[str, float]:
    """Kind -> mean seconds of the uninterrupted steps."""
    times = defaultdict(list)
    for path in work_dir.rglob('time.json'):
        record = read_json(str(path), 'delete it')
        if 'seconds' in record:
            times[record['kind']].append(record['seconds'])
    return {kind: mean(seconds) for kind, seconds in times.items()}


def _logged_eta(folder: Path) -> float | None:
    """Remaining seconds in a step's output; None = not printed."""
    with open(folder / 'output.txt', 'rb') as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4000))
        text = file.read().decode(errors='replace')
    etas = re.findall(r'eta: (?:(\d+) days?, )?(\d+):(\d\d):(\d\d)|scored, (\d+) s left', text)
    if not etas:
        return None
    days, hours, minutes, seconds, scoring = (int(number or 0) for number in etas[-1])
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds + scoring)


def cpu_seconds(folder: Path) -> float:
    """Processor seconds of a folder's step, interrupted parts included."""
    return read_json(str(folder / 'time.json'), 'delete its folder')['cpu_seconds']


def _cpu_of_commands() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
