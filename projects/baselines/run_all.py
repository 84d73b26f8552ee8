"""Train and measure all baselines and both recipes of this project under one budget.

    python -m projects.baselines.run_all --data-root PRODUCTS --work-dir work_dirs/baselines
    python -m projects.baselines.run_all --table            # writes README's table

All rows share data, candidate file and budget: minutes of one thread's processor time. A short
trial converts the budget to a number of steps. Run the command again to resume.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import torch

from mvlt.config import load_config
from mvlt.files import read_json, write_json
from mvlt.tools.analysis_tools.paper_results import column_of
from mvlt.tools.analysis_tools.paper_tables import PAPER
from mvlt.tools.command_line import run_command
from mvlt.tools.run_plan import Step, config_step, cpu_seconds, keep_config, run
from mvlt.tools.zoo import size

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = HERE / 'results.json'
PROBES = (4, 24)  # steps of the trial trainings
# data of a config -> data and table of the paper
DATA = {'catalogue': ('Fashion-Gen', 'Table 2'), 'coco': ('COCO 5k', 'Table 6')}
MARKS = ('<!-- measured: begin -->', '<!-- measured: end -->')
METRICS = {
    f'{way.upper()} R@{k}': f'retrieval/{way}/R@{k}' for way in ('tir', 'itr') for k in (1, 5, 10)
} | {'M-CR': 'main_category/accuracy', 'S-CR': 'sub_category/accuracy'}


class Row(NamedTuple):
    """A row of the table.

    name: config without ``_catalogue``.
    folder: folder of the config, below this one.
    title: name in the papers.
    """

    name: str
    folder: str
    title: str

    @property
    def config(self) -> str:
        """Path below the repository."""
        path = HERE / self.folder / f'{self.name}_catalogue.py'
        return str(path.relative_to(ROOT))

    @property
    def published(self) -> str:
        """R@1 of both directions in the paper's tables; '-' = not published."""
        names = [column_of(dict(experiment_name=f'{self.name}_{data}')) for data in DATA]
        for name, (data, source) in zip(names, DATA.values()):
            name = (name or '').removesuffix(', trained')
            tir, itr = (PAPER[f'retrieval/{way}/R@1'].get(name) for way in ('tir', 'itr'))
            if tir is not None and itr is not None:
                table = 'Table 5, zero-shot' if name == 'CLIP' else source
                return f'{tir:.2f}, {itr:.2f} ({data}, {table})'
        return '-'


ROWS = (
    Row('vse', 'dual_encoder', 'VSE'),
    Row('vse_pp', 'dual_encoder', 'VSE++'),
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
    Row('mvlt_dual_encoder', '.', 'MVLT, dual encoder'),
)


def main() -> None:
    """Run missing steps and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data-root', help='catalogue: products.csv and its images')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/baselines'))
    parser.add_argument('--minutes', type=float, default=25.0, help='budget of a training')
    parser.add_argument('--queries', type=int, default=1000, help='queries per direction')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1])
    parser.add_argument('--rows', nargs='+', choices=[row.name for row in ROWS])
    parser.add_argument('--keep', type=Path, help='write the results to this JSON file, too')
    parser.add_argument('--table', action='store_true', help="only write README.md's table")
    args = parser.parse_args()
    if args.table:
        write_table()
        return
    if args.data_root is None:
        raise ValueError('give --data-root, the folder of a catalogue')
    rows = [row for row in ROWS if args.rows is None or row.name in args.rows]
    measured = measure(rows, args)
    print(table(measured))
    if args.keep:
        write_json(args.keep, measured)


def measure(rows: list[Row], args: argparse.Namespace) -> dict[str, Any]:
    """Run missing steps; return the results."""
    environment = dict(OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT))
    probes = (step for row in rows for step in _probes(row, args))
    run([_candidates(args), *probes], args.work_dir, **environment)
    plans = (plan(row, seed, args) for seed in args.seeds for row in rows)
    run([step for steps in plans for step in steps], args.work_dir, **environment)
    return dict(
        date=time.strftime('%Y-%m-%d'),
        minutes=args.minutes,
        queries=args.queries,
        torch=torch.__version__,
        rows={row.name: _measured(row, args) for row in rows},
    )


def _candidates(args: argparse.Namespace) -> Step:
    """Sample the candidate lists that all rows rank."""
    options = {'test_cfg.num_queries': args.queries}
    config = load_config('mvlt/retrieval_catalogue', options, args.data_root)
    out = args.work_dir / 'candidates.json'
    tool = 'dataset_converters/make_candidates.py'
    command = (tool, str(keep_config(config, args.work_dir)), str(out), '--draws', '1')
    return Step('candidates', args.work_dir, command, out)


def _probes(row: Row, args: argparse.Namespace) -> list[Step]:
    """Two short trainings from scratch; their difference gives the time of a step."""
    steps = [_step(row, 'probe', count, _schedule(count), args) for count in PROBES]
    return [
        step._replace(command=tuple(word for word in step.command if word != '--resume'))
        for step in steps
    ]


def plan(row: Row, seed: int, args: argparse.Namespace) -> list[Step]:
    """Steps of a row and seed: train, rank, recognise."""
    training = {'randomness.seed': seed, **_schedule(_length(row, args))}
    train = _step(row, 'trained', seed, training, args)
    ranking = {'test_cfg.candidates': str((args.work_dir / 'candidates.json').resolve())}
    metrics = [
        dict(type='CategoryMetric', category=name) for name in ('main_category', 'sub_category')
    ]
    labels = {'test_cfg': dict(_delete_=True, type='TestLoop'), 'test_evaluator': metrics}
    tests = dict(ranked=ranking, recognised=labels)
    return [train, *(_step(row, kind, seed, tests[kind], args, train.result) for kind in tests)]


def _step(
    row: Row,
    kind: str,
    number: int,
    options: dict[str, Any],
    args: argparse.Namespace,
    checkpoint: Path | None = None,
) -> Step:
    config = load_config(ROOT / row.config, options, args.data_root)
    folder = args.work_dir / row.name / f'{kind}_{number}'
    return config_step(f'{row.title}, {number}: {kind}', config, folder, checkpoint)


def _schedule(length: int) -> dict[str, Any]:
    warmup = min(100, length // 3)
    return {
        'train_cfg.max_iters': length,
        'param_scheduler.warmup.end': warmup,
        'param_scheduler.decay.begin': warmup,
        'default_hooks.checkpoint.interval': 100000,
    }


def _step_seconds(row: Row, args: argparse.Namespace) -> float:
    """Processor seconds of a training step."""
    first, last = (cpu_seconds(args.work_dir / row.name / f'probe_{count}') for count in PROBES)
    return round((last - first) / (PROBES[1] - PROBES[0]), 4)


def _length(row: Row, args: argparse.Namespace) -> int:
    """Training steps within the budget."""
    return max(30, int(args.minutes * 60 / _step_seconds(row, args)))


def _measured(row: Row, args: argparse.Namespace) -> dict[str, Any]:
    """Steps, minutes and metrics of each seed; the size of the model."""
    folder, length, runs = args.work_dir / row.name, _length(row, args), {}
    for seed in args.seeds:
        metrics = {}
        for kind in ('ranked', 'recognised'):
            metrics |= read_json(folder / f'{kind}_{seed}/results.json', 'delete it')['metrics']
        minutes = round(cpu_seconds(folder / f'trained_{seed}') / 60, 2)
        chosen = {name: round(metrics[key], 2) for name, key in METRICS.items()}
        runs[str(seed)] = dict(steps=length, minutes=minutes, metrics=chosen)
    if not (kept := folder / 'model.json').is_file():
        write_json(kept, size(row.config, args.data_root))
    return dict(runs=runs, **read_json(kept, 'delete it'), step=_step_seconds(row, args))


def table(measured: dict[str, Any]) -> str:
    """Markdown: means and standard deviations beside published results."""
    head = ['row', 'M param.', 'GFLOP a pair', 'steps', 'minutes', 'TIR R@1 / 5 / 10']
    head += ['ITR R@1 / 5 / 10', 'M-CR, S-CR', 'published TIR, ITR R@1']
    lines = [head, ['---'] * len(head)]
    for row in ROWS:
        if row.name not in measured['rows']:
            continue
        content = measured['rows'][row.name]
        runs = list(content['runs'].values())
        metrics = {name: _cell([run['metrics'][name] for run in runs]) for name in METRICS}
        lines.append(
            [
                f'[{row.title}]({Path(row.folder) / f"{row.name}_catalogue.py"})',
                f'{content["parameters"]:.1f}',
                f'{content["gflop"]:.3f}',
                ', '.join(map(str, sorted({run['steps'] for run in runs}))),
                _cell([run['minutes'] for run in runs]),
                *(
                    ' / '.join(metrics[f'{way} R@{k}'] for k in (1, 5, 10))
                    for way in ('TIR', 'ITR')
                ),
                ', '.join(metrics[name] for name in ('M-CR', 'S-CR')),
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
    """Write the table of ``results.json`` between README's marks."""
    path, (begin, end) = HERE / 'README.md', MARKS
    measured = json.loads(RESULTS.read_text(encoding='utf-8'))
    before, _, rest = path.read_text(encoding='utf-8').partition(begin)
    after = rest.partition(end)[2]
    path.write_text(f'{before}{begin}\n{table(measured)}{end}{after}', encoding='utf-8')


if __name__ == '__main__':
    run_command(main)
