"""Train and measure every baseline and both recipes of this project, under one budget.

    python -m projects.baselines.run_all --data-root PRODUCTS --work-dir work_dirs/baselines
    python -m projects.baselines.run_all --table            # README's table of what was measured

Each row trains for as many steps as a short trial says that the same minutes of processor time of
one thread hold, on the same data, and ranks the same candidate file; the minutes that it took are
in the table. What is done stays done: the same command goes on where it was stopped.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import torch

from mvlt.command_line import run_command
from mvlt.config import load_config
from mvlt.files import read_json, write_json
from mvlt.tools.analysis_tools.paper_results import column_of
from mvlt.tools.analysis_tools.paper_tables import PAPER
from mvlt.tools.zoo import size

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = HERE / 'results.json'
# data of a config -> data and table of the paper
DATA = {'catalogue': ('Fashion-Gen', 'Table 2'), 'coco': ('COCO 5k', 'Table 6')}
MARKS = ('<!-- measured: begin -->', '<!-- measured: end -->')
METRICS = {
    'TIR R@1': 'retrieval/tir/R@1',
    'TIR R@5': 'retrieval/tir/R@5',
    'TIR R@10': 'retrieval/tir/R@10',
    'ITR R@1': 'retrieval/itr/R@1',
    'ITR R@5': 'retrieval/itr/R@5',
    'ITR R@10': 'retrieval/itr/R@10',
    'M-CR': 'main_category/accuracy',
    'S-CR': 'sub_category/accuracy',
}


class Row(NamedTuple):
    """A line of the table.

    name: of its config, without ``_catalogue``.
    folder: that it lies in, below this one.
    title: as the papers call it.
    """

    name: str
    folder: str
    title: str

    @property
    def config(self) -> str:
        """Its path below the repository."""
        path = HERE / self.folder / f'{self.name}_catalogue.py'
        return str(path.relative_to(ROOT))

    @property
    def published(self) -> str:
        """R@1 of both directions as the paper's tables have them."""
        names = [column_of(dict(experiment_name=f'{self.name}_{data}')) for data in DATA]
        for name, (data, source) in zip(names, DATA.values()):
            name = (name or '').removesuffix(', trained')
            told = [PAPER[f'retrieval/{way}/R@1'].get(name) for way in ('tir', 'itr')]
            if None not in told:
                table = 'Table 5, zero-shot' if name == 'CLIP' else source
                return f'{told[0]:.2f}, {told[1]:.2f} ({data}, {table})'
        return '-'


ROWS = (
    Row('vse', 'two_towers', 'VSE'),
    Row('vse_pp', 'two_towers', 'VSE++'),
    Row('scan_t2i', 'late_interaction', 'SCAN, text to image'),
    Row('scan_i2t', 'late_interaction', 'SCAN, image to text'),
    Row('pfan', 'late_interaction', 'PFAN'),
    Row('vilbert', 'two_streams', 'ViLBERT'),
    Row('image_bert', 'one_stream', 'ImageBERT'),
    Row('fashion_bert', 'one_stream', 'FashionBERT'),
    Row('vl_bert', 'one_stream', 'VL-BERT'),
    Row('oscar', 'one_stream', 'OSCAR'),
    Row('kaleido_bert', 'one_stream', 'Kaleido-BERT'),
    Row('unicoder_vl', 'one_stream', 'Unicoder-VL'),
    Row('uniter', 'one_stream', 'UNITER'),
    Row('clip', 'from_transformers', 'CLIP'),
    Row('siglip', 'from_transformers', 'SigLIP'),
    Row('vilt', 'from_transformers', 'ViLT'),
    Row('blip', 'from_transformers', 'BLIP'),
    Row('mvlt_paper', '.', 'MVLT, the paper'),
    Row('mvlt_towers', '.', 'MVLT, towers'),
)


def main() -> None:
    """Parse, run what is missing, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data-root', help='a catalogue (products.csv and its pictures)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/baselines'))
    parser.add_argument('--minutes', type=float, default=25.0, help='of one thread, a training')
    parser.add_argument('--queries', type=int, default=1000, help='of each direction')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1])
    parser.add_argument('--rows', nargs='+', choices=[row.name for row in ROWS])
    parser.add_argument('--keep', type=Path, help='write what was measured to this JSON file, too')
    parser.add_argument('--table', action='store_true', help="write README.md's table, run nothing")
    args = parser.parse_args()
    if args.table:
        write_table()
        return
    if args.data_root is None:
        raise ValueError('--data-root is needed: the folder of a catalogue')
    rows = [row for row in ROWS if args.rows is None or row.name in args.rows]
    measured = run(rows, args)
    print(table(measured))
    if args.keep:
        write_json(args.keep, measured)


def run(rows: list[Row], args: argparse.Namespace) -> dict[str, Any]:
    """Everything that is not there yet; what was measured."""
    args.work_dir.mkdir(parents=True, exist_ok=True)
    asked = dict(minutes=args.minutes, queries=args.queries, data_root=str(args.data_root))
    kept = args.work_dir / 'asked.json'
    if kept.is_file() and _read(kept) != asked:
        raise ValueError(
            f'{kept}: measured with {_read(kept)}, asked for {asked}: another --work-dir'
        )
    write_json(kept, asked)
    candidates = args.work_dir / 'candidates.json'
    if not candidates.is_file():
        _call(
            'tools/dataset_converters/make_candidates.py',
            'configs/mvlt/retrieval_catalogue.py',
            candidates,
            *('--draws', 1, '--data-root', args.data_root),
            *('--cfg-options', f'test_cfg.num_queries={args.queries}'),
            log=args.work_dir / 'candidates.log',
        )
    found: dict[str, Any] = {}
    todo = [(seed, row) for seed in args.seeds for row in rows]
    started, done_here = time.monotonic(), 0
    for place, (seed, row) in enumerate(todo):
        folder = args.work_dir / row.name
        out = folder / f'seed_{seed}.json'
        if not out.is_file():
            if done_here:
                left = (time.monotonic() - started) / done_here * (len(todo) - place) / 60
                print(f'{place} of {len(todo)} done, {left:.0f} min left', flush=True)
            _measure(row, seed, folder, candidates, args, out)
            done_here += 1
        content = found.setdefault(row.name, dict(runs={}))
        content.update(_read(folder / 'model.json'))
        content['runs'][str(seed)] = _read(out)
    return dict(
        date=time.strftime('%Y-%m-%d'),
        minutes=args.minutes,
        queries=args.queries,
        torch=torch.__version__,
        rows=found,
    )


def _measure(
    row: Row, seed: int, folder: Path, candidates: Path, args: argparse.Namespace, out: Path
) -> None:
    """Train one row with one seed, rank and recognise."""
    print(f'{row.title}, seed {seed}', flush=True)
    options = ('--data-root', args.data_root)
    kept = folder / 'model.json'
    if not kept.is_file():
        write_json(kept, dict(size(row.config, args.data_root), step=_step(row, folder, options)))
    step = _read(kept)['step']
    steps = max(30, int(args.minutes * 60 / step))
    work = folder / f'seed_{seed}'
    train = (
        *('tools/train.py', row.config, *options, '--work-dir', work, '--cfg-options'),
        *(f'randomness.seed={seed}', *_schedule(steps)),
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _call(*train, log=folder / f'train_{seed}.log')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    checkpoint = work / f'iter_{steps}.pth'
    test = ('tools/test.py', row.config, checkpoint, *options)
    _call(
        *(*test, '--work-dir', folder / f'ranked_{seed}'),
        *('--cfg-options', f'test_cfg.candidates={candidates.resolve()}'),
        log=folder / f'ranked_{seed}.log',
    )
    labelled = folder / 'recognition.py'
    metrics_of = [
        dict(type='CategoryMetric', category=name) for name in ('main_category', 'sub_category')
    ]
    counted = {'test_cfg': dict(_delete_=True, type='TestLoop'), 'test_evaluator': metrics_of}
    load_config(ROOT / row.config, counted).dump(labelled)
    _call(
        *('tools/test.py', labelled, checkpoint, *options),
        *('--work-dir', folder / f'recognised_{seed}'),
        log=folder / f'recognised_{seed}.log',
    )
    metrics: dict[str, float] = {}
    for kind in ('ranked', 'recognised'):
        metrics |= _read(folder / f'{kind}_{seed}' / 'results.json')['metrics']
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    chosen = {name: round(metrics[key], 2) for name, key in METRICS.items()}
    write_json(out, dict(steps=steps, minutes=round(used / 60, 2), metrics=chosen))


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, 'delete it: the next run measures again')


def _schedule(steps: int) -> list[str]:
    return [
        f'train_cfg.max_iters={steps}',
        f'param_scheduler.warmup.end={min(100, steps // 3)}',
        f'param_scheduler.decay.begin={min(100, steps // 3)}',
        'default_hooks.checkpoint.interval=100000',
    ]


def _step(row: Row, folder: Path, options: tuple) -> float:
    """Seconds of processor time a step: two short trainings, the start taken out."""
    spent = []
    counts = (4, 24)
    for count in counts:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        _call(
            *('tools/train.py', row.config, *options, '--work-dir', folder / f'probe_{count}'),
            *('--cfg-options', *_schedule(count)),
            log=folder / 'probe.log',
        )
        spent.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    return round((spent[1] - spent[0]) / (counts[1] - counts[0]), 4)


def _call(*arguments: Any, log: Path) -> None:
    """One of the project's commands, on one thread; its last lines where it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT))
    with log.open('w', encoding='utf-8') as file:
        done = subprocess.run(
            [sys.executable, *map(str, arguments)], cwd=ROOT, stdout=file, stderr=file, env=env,
            check=False,
        )  # fmt: skip
    if done.returncode:
        last = ' '.join(log.read_text(encoding='utf-8').splitlines()[-3:])
        raise RuntimeError(f'{arguments[0]} {arguments[1]} failed, see {log}: {last}')


def table(measured: dict[str, Any]) -> str:
    """Markdown: measured means and standard deviations, published figures beside them."""
    head = ['row', 'M param.', 'GFLOP a pair', 'steps', 'minutes']
    head += [
        'TIR R@1 / 5 / 10',
        'ITR R@1 / 5 / 10',
        'M-CR, S-CR',
        'published TIR, ITR R@1',
    ]
    lines = [head, ['---'] * len(head)]
    for row in ROWS:
        if row.name not in measured['rows']:
            continue
        content = measured['rows'][row.name]
        runs = [one['metrics'] for one in content['runs'].values()]
        steps = sorted({one['steps'] for one in content['runs'].values()})
        lines.append(
            [
                f'[{row.title}]({Path(row.folder) / f"{row.name}_catalogue.py"})',
                f'{content["parameters"]:.1f}',
                f'{content["gflop"]:.3f}',
                ', '.join(map(str, steps)),
                _cell([one['minutes'] for one in content['runs'].values()]),
                *(
                    ' / '.join(_cell([run[f'{way} R@{k}'] for run in runs]) for k in (1, 5, 10))
                    for way in ('TIR', 'ITR')
                ),
                ', '.join(_cell([run[name] for run in runs]) for name in ('M-CR', 'S-CR')),
                row.published,
            ]
        )
    counts = sorted({len(content['runs']) for content in measured['rows'].values()})
    seeds = ' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    text = '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)
    date, minutes, queries = (measured[key] for key in ('date', 'minutes', 'queries'))
    return (
        f'{date}, so many steps as a short trial finds in {minutes:g} minutes of one thread '
        f'(minutes: what they took), {queries} queries a direction at most, 101 candidates, '
        f'{seeds} seed(s) a row: mean ± SD.\n\n{text}\n'
    )


def _cell(values: list[float]) -> str:
    spread = f' ± {stdev(values):.1f}' if len(values) > 1 else ''
    return f'{mean(values):.1f}{spread}'


def write_table() -> None:
    """Put the table of ``results.json`` between README's marks."""
    path = HERE / 'README.md'
    text = path.read_text(encoding='utf-8')
    measured = json.loads(RESULTS.read_text(encoding='utf-8'))
    begin, end = MARKS
    pattern = re.compile(f'{re.escape(begin)}.*{re.escape(end)}', re.DOTALL)
    new = pattern.sub(lambda _: f'{begin}\n{table(measured)}{end}', text)
    path.write_text(new, encoding='utf-8')


if __name__ == '__main__':
    run_command(main)
