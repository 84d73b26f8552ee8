"""Run a set of benchmarks and write a dated report.

    tools/benchmark_suite.py compare --against YARDSTICK.py --images FOLDER   # make bench
    tools/benchmark_suite.py growth
    tools/benchmark_suite.py plan

compare: ratios of ours to a yardstick, in turn on the same machine. growth: time and memory against
batch, image side, caption length and encoder size, with a plot. plan: time of a step on GPUs that
are not at hand, from its operations, checked on this CPU (tools/benchmark_plan.py). Each mode
writes docs/benchmarks/<date>-<mode>.md; a second run on a day replaces the first.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from mvlt.files import write_text
from mvlt.tools.benchmark import WORDS, timed, training_step
from mvlt.tools.benchmark_plan import plan
from mvlt.tools.command_line import run_command

BENCHMARK = Path(__file__).with_name('benchmark.py')
RELEASED = 'configs/mvlt/pretrain_fashiongen_released.py'
# name, options of tools/benchmark.py, target on a CPU: minimum ratio of speed, maximum of memory
COMPARED = (
    ('pre-training, bf16', 'train --batch 8 --steps 6 --warmup 3 --dtype bf16 --rounds 3', '3'),
    (
        'pre-training, float32',
        'train --batch 8 --steps 3 --warmup 2 --dtype fp32 --rounds 2',
        '1.8',
    ),
    (
        'pre-training, released recipe, bf16',
        f'train --batch 8 --steps 6 --warmup 3 --dtype bf16 --rounds 2 --config {RELEASED}',
        '1.8',
    ),
    (
        'pre-training, bf16, 64 pairs, activation checkpointing',
        'train --batch 64 --steps 1 --warmup 1 --dtype bf16 --rounds 1 --checkpointing',
        'memory 0.4',
    ),
    (
        'matching scores, bf16',
        'score --batch 101 --steps 2 --warmup 1 --dtype bf16 --rounds 2',
        '4',
    ),
    (
        'retrieval, 101 candidates, from JPEG, bf16',
        'retrieve --batch 32 --queries 50 --dtype bf16 --rounds 1',
        '12',
    ),
)
# config -> pairs a GPU, image side, tokens
PLANNED = {
    'configs/mvlt/pretrain_fashiongen.py': (150, 256, WORDS),
    'configs/mvlt/dual_encoder_fashiongen.py': (64, 256, WORDS),
    'configs/mvlt/finetune_fashiongen.py': (150, 256, WORDS),
    'configs/mvlt/recognition_fashiongen.py': (150, 256, WORDS),
    'configs/mvlt/pretrain_catalogue.py': (128, 64, 16),
}
GROWTH = dict(
    batch=('--batch', (1, 2, 4, 8, 16)),
    side=('--size', (128, 192, 256, 384, 512)),
    words=('--words', (8, 24, 40, 80, 128)),
    arch=('--arch', ('tiny', 'small', 'medium', 'large')),
)


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('mode', choices=('compare', 'growth', 'plan'))
    parser.add_argument('--against', type=Path, help='compare: the other script')
    parser.add_argument('--images', type=Path, help='compare: a folder of JPEG files')
    parser.add_argument('--out', type=Path, default=Path('docs/benchmarks'))
    args = parser.parse_args()
    if args.mode == 'compare':
        if args.against is None or not args.against.is_file():
            print(f'skipped: no yardstick ({args.against}); name one with --against')
            return
        lines = compare(args.against, args.images)
    elif args.mode == 'growth':
        lines = growth(args.out)
    else:
        settings = argparse.Namespace(device='cpu', steps=3, warmup=1, dtype='fp32', arch=None)
        lines = plan(PLANNED, settings, step_seconds)
    path = args.out / f'{datetime.date.today()}-{args.mode}.md'
    write_text(path, '\n'.join([*_machine(args.mode), '', *lines]) + '\n')
    print(path)


def compare(yardstick: Path, images: Path | None) -> list[str]:
    """A table of ratios, and the JSON line of every job."""
    table = [
        '| job | ours / yardstick | ratio | target | peak memory ratio |',
        '|---|---|---|---|---|',
    ]
    details = []
    for name, options, target in COMPARED:
        if 'retrieve' in options and (images is None or not images.is_dir()):
            table.append(f'| {name} | not measured: no folder of images | | {target} | |')
            continue
        arguments = shlex.split(options)
        if 'retrieve' in options:
            arguments += ['--images', str(images), '--against-options', '--queries 2']
        result = run([*arguments, '--against', str(yardstick)])
        unit = next(key for key in result if key.endswith('_per_s'))
        ratio, memory = result['speed_ratio'], result['peak_memory_ratio']
        table.append(
            f'| {name} | {result[unit][0]} / {result[unit][1]} {unit.replace("_per_", "/")} | '
            f'**{ratio["median"]}** ({ratio["least"]} to {ratio["most"]}) | {target} | '
            f'{memory["median"]} |'
        )
        print(table[-1], flush=True)
        details += [
            f'    tools/benchmark.py {options} --against {yardstick.name}',
            json.dumps(result),
        ]
    return [*table, '', 'GPU: not measured unless the device above says cuda.', '', *details]


def growth(out: Path) -> list[str]:
    """Tables and a plot of a pre-training step."""
    tables: list[str] = []
    curves: dict[str, list[tuple[Any, float, float]]] = {}
    for name, (option, values) in GROWTH.items():
        batch = [] if name == 'batch' else ['--batch', '2']
        tables += [
            '',
            f'| {name} | seconds a pair | pairs/s | peak memory, GB |',
            '|---|---|---|---|',
        ]
        for value in values:
            result = run(['train', '--steps', '8', '--warmup', '2', *batch, option, str(value)])
            # the fastest step: other programs slow the others down
            seconds, memory = (
                min(result['seconds']) / result['batch'],
                result['peak_memory_bytes'] / 1e9,
            )
            curves.setdefault(name, []).append((value, seconds, memory))
            tables.append(f'| {value} | {seconds:.3f} | {1 / seconds:.2f} | {memory:.2f} |')
            print(tables[-1], flush=True)
    image = out / f'{datetime.date.today()}-growth.svg'
    _plot(curves, image)
    score = run(['score', '--batch', '32', '--steps', '3', '--warmup', '1'])
    speed = score['pairs_per_s']
    return [
        'A pre-training step in bf16, the fastest of eight; 256 px, 40 tokens, PVT-VL Tiny, batch '
        '2 unless varied.',
        *tables,
        '',
        f'![growth]({image.name})',
        '',
        f'The matching head scores {speed} pairs a second here, '
        f'{speed * 86400 / 1e6:.1f} million a day: the full ranking of '
        f'{(speed * 86400) ** 0.5:.0f} products (it grows with the square), or of '
        f'{speed * 86400 / 100:.0f} products with `--rerank-topk 50`.',
    ]


def step_seconds(config: Any, args: argparse.Namespace) -> float:
    """Seconds of a training step of a config on this CPU, the median of three."""
    return statistics.median(timed(training_step(config, args), args))


def run(options: list[str]) -> dict[str, Any]:
    """The JSON line of one call of tools/benchmark.py.

    Raises:
        ValueError: it failed; the message ends with its errors.
    """
    command = [sys.executable, str(BENCHMARK), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f'{shlex.join(command)} failed: {done.stderr.strip()[-1500:]}')
    return json.loads(done.stdout.strip().splitlines()[-1])


def _machine(mode: str) -> list[str]:
    device = 'no GPU'
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    name, flags = platform.processor() or platform.machine(), ''
    if Path('/proc/cpuinfo').is_file():
        cpu = Path('/proc/cpuinfo').read_text()
        name = next((x.split(':')[1].strip() for x in cpu.splitlines() if 'model name' in x), name)
        flags = ' (avx512_bf16)' if 'avx512_bf16' in cpu else ' (no bf16 unit)'
    return [
        f'# Benchmark: {mode}',
        '',
        f'{datetime.date.today()}, {os.cpu_count()} cores of {name}{flags}, {device}; Python '
        f'{platform.python_version()}, torch {torch.__version__}. Command: '
        f'`tools/benchmark_suite.py {mode}`.',
    ]


def _plot(curves: dict[str, list[tuple[Any, float, float]]], path: Path) -> None:
    import matplotlib  # slow to import, and needed here only

    matplotlib.use('agg')
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, len(curves), figsize=(3.1 * len(curves), 4.6))
    for column, (name, points) in enumerate(curves.items()):
        labels = [str(value) for value, _, _ in points]
        for row, what in enumerate(('seconds a pair', 'peak memory, GB')):
            panel = panels[row][column]
            panel.plot(labels, [point[row + 1] for point in points], 'o-', color='#b3365b')
            panel.margins(y=0.1)
            panel.set_ylim(bottom=0)
            panel.set_title(f'{what} by {name}', fontsize=9)
            panel.grid(alpha=0.3)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)


if __name__ == '__main__':
    run_command(main)
