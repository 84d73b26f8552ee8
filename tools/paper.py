"""Reproduce rows of the paper's tables: pre-train, fine-tune, evaluate, print.

    tools/paper.py table3 --rows d1 d3 final --seeds 0 1 --data-root MY_CATALOGUE
    tools/paper.py table2 --data fashiongen --gpus 8

Each step is a command; its config and output are in its folder below --work-dir. Run it again to
resume. Rows are those of Table 3, 'final', or any config mvlt/ablations/... (on a catalogue
mvlt/ablations/catalogue/...). For a short trial set --length and --tune-length.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from mvlt.config import load_config
from mvlt.config_files import config_path, packaged_configs
from mvlt.tools.analysis_tools.paper_tables import FORMATS, print_tables
from mvlt.tools.command_line import run_command
from mvlt.tools.run_plan import Step, config_step, run

TABLES = dict(
    table2=('final',),
    table3=(
        *('a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'b3', 'b4', 'c1', 'c2', 'c3', 'd1', 'd2', 'd3', 'e1'),
        'final',
    ),
    table4=('e1', 'final'),
)
PROTOCOLS = {'101': 'retrieval', '101x5': 'retrieval_101x5', 'full': 'retrieval_full'}
# variants of a row's config; use their full name
_VARIANTS = ('c2_stroke_released', 'c3_square_released', 'e1_with_pvt')


def main() -> None:
    """Run missing steps and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('table', choices=TABLES)
    parser.add_argument('--rows', nargs='+', help="default: all of the table's")
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--data', choices=('catalogue', 'fashiongen'), default='catalogue')
    parser.add_argument('--data-root', help="default: the configs' own")
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/paper'))
    parser.add_argument('--protocols', nargs='+', choices=PROTOCOLS, default=['101'])
    parser.add_argument(
        '--finetune', action='store_true', help='also fine-tune for retrieval and rank again'
    )
    parser.add_argument(
        '--no-recognition', action='store_true', help='for data without two category levels'
    )
    parser.add_argument('--length', type=int, help='steps (Fashion-Gen: epochs) of pre-training')
    parser.add_argument('--tune-length', type=int, help='steps (epochs) of fine-tuning')
    for name, use in (
        ('cfg', 'options of all pre-trainings, e.g. train_dataloader.batch_size=32'),
        ('test', 'options of all rankings, e.g. test_cfg.num_candidates=50'),
    ):
        parser.add_argument(
            f'--{name}-options',
            nargs='+',
            action=DictAction,
            default={},
            metavar='KEY=VALUE',
            help=use,
        )
    parser.add_argument('--gpus', type=int, default=1)
    parser.add_argument('--format', choices=FORMATS, default='text')
    args = parser.parse_args()
    steps = [
        step
        for row in args.rows or _rows(args.table, args.data)
        for seed in args.seeds
        for step in plan(row, seed, args)
    ]
    run(steps, args.work_dir)
    print_tables([args.work_dir], args.format)


def _rows(table: str, data: str) -> tuple[str, ...]:
    """A table's rows; on a catalogue E1 is compared with a twin with ImageNet weights."""
    if data == 'catalogue' and table == 'table4':
        return ('e1', 'e1_with_pvt')
    return tuple(row for row in TABLES[table] if data != 'catalogue' or row != 'e1')


def config_of(row: str, data: str) -> Path:
    """The config that pre-trains a row.

    Raises:
        ValueError: no such row.
    """
    if row == 'final':
        return config_path(f'mvlt/pretrain_{data}')
    folder = f'mvlt/ablations{"/catalogue" if data == "catalogue" else ""}'
    paths = {
        name.rpartition('/')[2]: config_path(name)
        for name in packaged_configs()
        if name.rpartition('/')[0] == folder
    }
    for name, path in paths.items():
        if name == row or (name.startswith(f'{row}_') and name not in _VARIANTS):
            return path
    raise ValueError(f'--rows {row}: no such row; legal: final, {", ".join(paths)}')


def plan(row: str, seed: int, args: argparse.Namespace) -> Iterator[Step]:
    """Steps of a row and seed; writes their configs.

    Raises:
        ValueError: a step was started with other settings.
    """
    path = config_of(row, args.data)
    folder = args.work_dir / f'{path.stem}_seed_{seed}'
    common = {'randomness.seed': seed}
    start = _shortened(path, {**args.cfg_options, **common}, args.length, args)

    def step(kind: str, config: Config, **more: Path) -> Step:
        name = f'{path.stem}, seed {seed}: {kind}'
        return config_step(name, config, folder / kind, gpus=args.gpus, **more)

    def test(protocol: str) -> Config:
        """A protocol without a model: the checkpoint brings it."""
        name = f'mvlt/{PROTOCOLS[protocol]}_{args.data}'
        return load_config(name, {**args.test_options, **common}, args.data_root)

    def tune(name: str) -> Config:
        name = f'mvlt/{name}_{args.data}'
        options = _model_of(start, load_config(name))
        options |= {**common, 'load_from': str(first.result)}
        return _shortened(name, options, args.tune_length, args)

    first = step('pretrain', start)
    yield first
    for protocol in args.protocols:
        yield step(f'{protocol}_test', test(protocol), checkpoint=first.result)
    if args.finetune:
        second = step('finetune', tune('finetune'), start=first.result)
        yield second
        for protocol in args.protocols:
            yield step(f'{protocol}_finetune_test', test(protocol), checkpoint=second.result)
    if not args.no_recognition:
        third = step('recognition', tune('recognition'), start=first.result)
        yield third
        yield step('recognition_test', tune('recognition'), checkpoint=third.result)


def _shortened(
    path: str | Path, options: dict[str, Any], length: int | None, args: argparse.Namespace
) -> Config:
    """A config with options, trained for ``length``."""
    config = load_config(path, options, args.data_root)
    if length is None:
        return config
    return load_config(path, {**options, **shorter(config, length)}, args.data_root)


def _model_of(start: Config, config: Config) -> dict[str, Any]:
    """Options that give a task's config the pre-trained model.

    Raises:
        ValueError: pre-training and task differ in image size.
    """
    sides = [settings.model.backbone.image_size for settings in (start, config)]
    if sides[0] != sides[1]:
        raise ValueError(
            f'pre-training at {sides[0]} pixels, but {config.filename} reads {sides[1]}: write '
            'configs with that image_size and run tools/train.py and tools/test.py'
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
    """Options that change the length; warm-up is at most half of it.

    Raises:
        ValueError: a length below 2.
    """
    if length < 2:
        raise ValueError(f'length {length}: give at least 2 (warm-up and decay)')
    unit = 'max_epochs' if 'max_epochs' in config.train_cfg else 'max_iters'
    saving = config.default_hooks.checkpoint.interval
    options = {
        f'train_cfg.{unit}': length,
        'default_hooks.checkpoint.interval': min(saving, length),
    }
    for name, scheduler in config.param_scheduler.items():
        for key in ('begin', 'end'):
            if key in scheduler:  # without one it ends with the training
                options[f'param_scheduler.{name}.{key}'] = min(scheduler[key], length // 2)
    return options


if __name__ == '__main__':
    run_command(main)
