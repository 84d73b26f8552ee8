"""The demo (`make demo`): draw products, train, evaluate, publish, report.

It prints the command of each step. Run it again to resume; delete work_dirs/demo to start again.
"""

import json
import platform
import time
from pathlib import Path

import torch
from mmengine.config import Config

from mvlt.checkpoints import open_model
from mvlt.config import load_config
from mvlt.datasets import PairDataset
from mvlt.models import MVLT
from mvlt.registry import DATASETS
from mvlt.tools.command_line import run_command
from mvlt.tools.figures.categories import category_cells
from mvlt.tools.figures.curves import plot_losses
from mvlt.tools.figures.page import write_report
from mvlt.tools.run_plan import Step, config_step, run
from mvlt.visualization import Section, in_rows, ranking_rows, reconstruction_cells

ROOT = Path('work_dirs/demo')
DATA = ROOT / 'data'
REPORT = ROOT / 'report' / 'index.html'
TASKS = {'retrieval': 'retrieval', 'generation': 'generation', 'recognition': 'recognition_eval'}


def main() -> None:
    """Run missing steps and write the report."""
    started = time.monotonic()
    steps = plan()
    run(steps, ROOT)
    report(steps[1].result)
    print(f'\ndone in {(time.monotonic() - started) / 60:.1f} minutes: open {REPORT}')


def plan() -> list[Step]:
    """Steps: draw products, train, evaluate three tasks, publish."""
    tool = 'dataset_converters/make_demo_data.py'
    draw = Step('products', DATA, (tool, str(DATA)), DATA / 'fashiongen_64_64_validation.h5')
    train = config_step('training', load_config('demo/shop_demo'), ROOT / 'shop')
    tests = [
        config_step(task, _config(task), ROOT / f'{task}_test', train.result) for task in TASKS
    ]
    out = ROOT / 'models' / 'shop'
    command = [
        'model_converters/publish.py',
        str(train.result),
        str(out),
        '--licence',
        'Apache-2.0',
    ]
    command += ['--data', 'products drawn by make demo', '--results']
    command += [str(test.result) for test in tests]
    folder = Step(
        'model folder', ROOT / 'publish', command, out / 'model.safetensors', train.result
    )
    return [draw, train, *tests, folder]


def _config(task: str) -> Config:
    options = {'test_cfg.rerank': None} if task == 'retrieval' else {}
    return load_config(f'demo/{TASKS[task]}_demo', options)


def report(trained: Path) -> None:
    """Write the report from the steps' results."""
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
            title: plot_losses(ROOT / 'shop', keys)
            for title, keys in {
                'Loss of each objective, weighted': (
                    'loss_itc',
                    'loss_mir',
                    'loss_itm',
                    'loss_mlm',
                ),
                'Loss of the categories': ('loss_main_category', 'loss_sub_category'),
                'Validation: text-to-image R@1 of 31 candidates, percent': ('retrieval/tir/R@1',),
            }.items()
        },
        examples=[*_rankings(rankings), *_answers(open_model(trained).model)],
    )


def _rankings(rankings: list[dict]) -> list[Section]:
    dataset = _dataset('retrieval')
    titles = dict(
        tir=(
            'Text to image',
            'A caption and its top 5 of 101 images of the same sub-category, with similarity. '
            'Green: the right product. These are the first queries, not a selection.',
        ),
        itr=('Image to text', 'An image and its top 5 of 101 captions.'),
    )
    first = {
        name: [query for query in rankings if query['direction'] == name][:6] for name in titles
    }
    return [
        Section(name, *titles[name], ranking_rows(dataset, first[name], rerank=None))
        for name in titles
    ]


def _answers(model: MVLT) -> list[Section]:
    rows = [3 * row for row in range(6)]  # the first view of each of six products
    categories = category_cells(model, _dataset('recognition'), rows)
    reconstructed = reconstruction_cells(model, _dataset('generation'), rows)
    return [
        Section(
            'categories',
            'Categories',
            'The three most probable main and sub-categories. Green: right.',
            in_rows([cell for _, cell in categories], 6),
        ),
        Section(
            'reconstructions',
            'Masked, reconstructed, original',
            'Half of the units are masked (grey); the model sees the rest and the caption.',
            in_rows([cell for _, cells in reconstructed for cell in cells], 6),
        ),
    ]


def _cells(metrics: dict, prefix: str, formats: dict[str, str]) -> list[str]:
    return [format(metrics[f'{prefix}/{name}'], style) for name, style in formats.items()]


def _tables(results: dict) -> list[dict]:
    ranked, protocol = results['retrieval']['metrics'], results['retrieval']['protocol']
    chance = 100 / protocol['num_candidates']
    recalls = {'R@1': '.1f', 'R@5': '.1f', 'R@10': '.1f', 'SumR': '.1f'}
    recognised = results['recognition']['metrics']
    scores = {'classes_of_truth': '.0f', 'accuracy': '.1f', 'macro_f': '.3f', 'SumC': '.1f'}
    reconstruction = results['generation']['metrics']
    signal = {'images': '.0f', 'psnr': '.2f', 'ssim': '.3f', 'masked_psnr': '.2f'}
    return [
        dict(
            title='Retrieval, percent',
            note=f'{protocol["num_queries"]["tir"]} queries per direction on held-out products; '
            f'each ranks {protocol["num_candidates"]} candidates of the same sub-category; ties '
            'count against the model',
            head=('', *recalls),
            rows=[
                ['text to image (TIR)', *_cells(ranked, 'retrieval/tir', recalls)],
                ['image to text (ITR)', *_cells(ranked, 'retrieval/itr', recalls)],
                ['chance', *(f'{k * chance:.1f}' for k in (1, 5, 10, 16))],
            ],
        ),
        dict(
            title='Recognition',
            note=f'{recognised["main_category/samples"]:.0f} images of held-out products; macro-F '
            'over the classes in truth or predictions',
            head=('', 'classes', 'accuracy, %', 'macro-F', 'SumC'),
            rows=[
                ['main category (M-CR)', *_cells(recognised, 'main_category', scores)],
                ['sub-category (S-CR)', *_cells(recognised, 'sub_category', scores)],
            ],
        ),
        dict(
            title='Masked image generation',
            note='half of the units masked at random; PSNR in dB over the image and over the '
            'masked part; mean fill: the masked part filled with the mean of the visible part',
            head=('images', 'PSNR', 'SSIM', 'PSNR, masked part', 'mean fill'),
            rows=[
                _cells(reconstruction, 'reconstruction', signal | {'mean_fill_masked_psnr': '.2f'})
            ],
        ),
    ]


def _dataset(task: str) -> PairDataset:
    """The dataset of an evaluation, from the run's config."""
    config = load_config(ROOT / f'{task}_test' / f'{TASKS[task]}_demo.py')
    return DATASETS.build(config.test_dataloader.dataset)


if __name__ == '__main__':
    run_command(main)
