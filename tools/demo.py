"""Draw products, train, evaluate and report: what `make demo` runs.

Each step is a command that one could type; it is printed. A step whose result is there is passed
over, a training that was stopped goes on from its last checkpoint. To start afresh, delete
work_dirs/demo.
"""

import json
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mvlt.checkpoints import open_model
from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.config import load_config
from mvlt.datasets import PairDataset
from mvlt.engine import resolve
from mvlt.files import file_sha256
from mvlt.models import MVLT
from mvlt.registry import DATASETS
from mvlt.tools.figures.categories import category_cells
from mvlt.tools.figures.curves import plot_losses
from mvlt.tools.figures.page import write_report
from mvlt.visualization import Section, in_rows, ranking_rows, reconstruction_cells

ROOT = Path('work_dirs/demo')
DATA = ROOT / 'data'
REPORT = ROOT / 'report' / 'index.html'
TASKS = {'retrieval': 'retrieval', 'generation': 'generation', 'recognition': 'recognition_eval'}


def main() -> None:
    """Run what is missing, in order."""
    started = time.monotonic()
    trained = _checkpoint('shop')
    step(
        DATA / 'fashiongen_64_64_validation.h5',
        f'tools/dataset_converters/make_demo_data.py {DATA}',
    )
    train('shop', trained)
    evaluate('retrieval', trained, '--cfg-options test_cfg.rerank=None')
    evaluate('generation', trained)
    evaluate('recognition', trained)
    report(trained)
    publish('shop', trained, *TASKS)
    print(f'\n{REPORT} is there after {(time.monotonic() - started) / 60:.1f} minutes: open it')


def step(result: Path, command: str, is_whole: Callable[[Path], bool] = Path.exists) -> None:
    """Run a command unless its result is there and whole; end with its status if it fails."""
    if is_whole(result):
        print(f'{result} is there: nothing to do')
        return
    print(f'\n$ python {command}', flush=True)
    status = subprocess.run([sys.executable, *shlex.split(command)], check=False).returncode
    if status or not is_whole(result):
        sys.exit(status or f'error: the command left no {result}')


def train(task: str, checkpoint: Path) -> None:
    """Train to the config's last iteration, going on where a stopped run was."""
    if checkpoint.exists() and not _is_readable(checkpoint):
        _pass_over(checkpoint)
    step(
        checkpoint,
        f'tools/train.py configs/demo/{task}_demo.py --work-dir {ROOT / task} --resume',
        _is_readable,
    )


def evaluate(task: str, checkpoint: Path, options: str = '') -> None:
    """Evaluate a checkpoint."""
    work_dir = ROOT / f'{task}_test'
    config = f'configs/demo/{TASKS[task]}_demo.py'
    command = f'tools/test.py {config} {checkpoint} --work-dir {work_dir} {options}'
    digest = file_sha256(checkpoint)
    step(
        work_dir / 'results.json',
        command,
        lambda path: path.exists() and json.loads(path.read_text())['checkpoint_sha256'] == digest,
    )


def publish(name: str, checkpoint: Path, *tasks: str) -> None:
    """Write the folder that the web page and the inferencers take."""
    out = ROOT / 'models' / name
    results = ' '.join(f'{ROOT}/{task}_test/results.json' for task in tasks)
    step(
        out / 'SHA256SUMS',
        f'tools/model_converters/publish.py {checkpoint} {out} --licence Apache-2.0 '
        f"--data 'products drawn by make demo' --results {results}",
    )


def report(trained: Path) -> None:
    """Write the page from what the steps have left."""
    results = {task: json.loads((ROOT / f'{task}_test/results.json').read_text()) for task in TASKS}
    rankings = json.loads((ROOT / 'retrieval_test/rankings.json').read_text())
    write_report(
        REPORT,
        title='MVLT: the demo',
        facts=dict(
            date=time.strftime('%Y-%m-%d'),
            machine=f'{platform.machine()}, {torch.get_num_threads()} threads, no GPU needed',
            torch=torch.__version__,
            checkpoint=results['retrieval']['checkpoint_sha256'][:12],
        ),
        tables=_tables(results),
        curves={
            'Loss of each objective, weighted': plot_losses(
                ROOT / 'shop', ('loss_itc', 'loss_mir', 'loss_itm', 'loss_mlm')
            ),
            'Loss of the categories': plot_losses(
                ROOT / 'shop', ('loss_main_category', 'loss_sub_category')
            ),
            'On products held out: captions whose picture is the first of 31, percent': plot_losses(
                ROOT / 'shop', ('retrieval/tir/R@1',)
            ),
        },
        examples=[
            *_rankings(rankings),
            *_answers(open_model(trained).model),
        ],
    )


def _rankings(rankings: list[dict]) -> list[Section]:
    dataset = _dataset('retrieval')
    notes = dict(
        tir='A caption and the five pictures that are most like it of 101 of its own kind, with '
        'the similarity. Green: the product itself. The first queries of the protocol, not chosen.',
        itr='A picture and the five captions that are most like it of 101.',
    )
    return [
        Section(
            name,
            title,
            notes[name],
            ranking_rows(
                dataset,
                [one for one in rankings if one['direction'] == name][:6],
                rerank=None,
            ),
        )
        for name, title in (('tir', 'Text to image'), ('itr', 'Image to text'))
    ]


def _answers(model: MVLT) -> list[Section]:
    rows = [3 * row for row in range(6)]  # the first view of each of six products
    categories = category_cells(model, _dataset('recognition'), rows)
    rebuilt = reconstruction_cells(model, _dataset('generation'), rows)
    return [
        Section(
            'categories',
            'Categories',
            'The three most probable main and sub-categories. Green: right.',
            in_rows([cell for _, cell in categories], 6),
        ),
        Section(
            'reconstructions',
            'Masked, rebuilt, original',
            'Half of the units are hidden (grey); the model sees the rest and the caption.',
            in_rows([cell for _, cells in rebuilt for cell in cells], 6),
        ),
    ]


def _tables(results: dict) -> list[dict]:
    found, protocol = results['retrieval']['metrics'], results['retrieval']['protocol']
    chance = 100 / protocol['num_candidates']
    names = ('R@1', 'R@5', 'R@10', 'SumR')
    recalls = [
        [label, *(f'{found[f"retrieval/{key}/{name}"]:.1f}' for name in names)]
        for key, label in (('tir', 'text to image (TIR)'), ('itr', 'image to text (ITR)'))
    ]
    recalls.append(['chance', *(f'{k * chance:.1f}' for k in (1, 5, 10, 16))])
    categories = results['recognition']['metrics']
    rebuilt = results['generation']['metrics']
    return [
        dict(
            title='Retrieval, percent',
            note=f'{protocol["num_queries"]["tir"]} queries a direction on products that training '
            f'has not seen; each ranks {protocol["num_candidates"]} candidates of one '
            'sub-category; ties count against the model',
            head=('', *names),
            rows=recalls,
        ),
        dict(
            title='Recognition',
            note=f'{categories["main_category/samples"]:.0f} pictures of products that training '
            'has not seen; macro-F over the classes in truth or predictions',
            head=('', 'classes', 'accuracy, %', 'macro-F', 'SumC'),
            rows=[
                [
                    label,
                    f'{categories[f"{key}/classes_of_truth"]:.0f}',
                    f'{categories[f"{key}/accuracy"]:.1f}',
                    f'{categories[f"{key}/macro_f"]:.3f}',
                    f'{categories[f"{key}/SumC"]:.1f}',
                ]
                for key, label in (
                    ('main_category', 'main category (M-CR)'),
                    ('sub_category', 'sub-category (S-CR)'),
                )
            ],
        ),
        dict(
            title='Masked image generation',
            note='half of the units hidden at random; PSNR in dB over the whole picture and over '
            'the hidden part, there beside a fill with the mean of what is visible',
            head=('pictures', 'PSNR', 'SSIM', 'PSNR, hidden part', 'mean fill'),
            rows=[
                [
                    f'{rebuilt["reconstruction/images"]:.0f}',
                    f'{rebuilt["reconstruction/psnr"]:.2f}',
                    f'{rebuilt["reconstruction/ssim"]:.3f}',
                    f'{rebuilt["reconstruction/masked_psnr"]:.2f}',
                    f'{rebuilt["reconstruction/mean_fill_masked_psnr"]:.2f}',
                ]
            ],
        ),
    ]


def _is_readable(checkpoint: Path) -> bool:
    """Whether a checkpoint is there and was written to its end."""
    try:
        read_checkpoint(str(checkpoint))
    except (FileNotFoundError, ValueError):
        return False
    return True


def _pass_over(cut: Path) -> None:
    """Delete a checkpoint that was cut short, and name the newest one before it as the last."""
    print(f'{cut} was cut short: going on from the one before')
    cut.unlink()
    before = sorted(cut.parent.glob('iter_*.pth'), key=lambda path: int(path.stem[5:]))
    last = cut.parent / 'last_checkpoint'
    if before:
        last.write_text(str(before[-1]))
    else:
        last.unlink(missing_ok=True)


def _checkpoint(task: str) -> Path:
    """Where the training of this task ends."""
    iterations = load_config(f'configs/demo/{task}_demo.py').train_cfg.max_iters
    return ROOT / task / f'iter_{iterations}.pth'


def _dataset(task: str) -> PairDataset:
    config = resolve(load_config(f'configs/demo/{TASKS[task]}_demo.py'), 'data')
    return DATASETS.build(config.test_dataloader.dataset)


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        sys.exit('\nstopped; the same command goes on from here')
