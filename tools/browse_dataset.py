"""Draw samples after each transform, with the masks.

tools/browse_dataset.py configs/mvlt/pretrain_catalogue.py --data-root MY_CATALOGUE
"""

import argparse
from pathlib import Path

import numpy as np
from mmengine.runner import set_random_seed

from mvlt.engine import resolve
from mvlt.registry import DATASETS
from mvlt.tools.command_line import add_options, config_from, run_command
from mvlt.tools.figures.page import write_sheet
from mvlt.tools.figures.pipeline import pipeline_rows
from mvlt.visualization import Section


def main() -> None:
    """Parse, run the pipelines, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='train')
    parser.add_argument('--count', type=int, default=8, help='number of samples, evenly spaced')
    parser.add_argument('--out', type=Path, help='folder; default <work dir>/browse/<split>')
    args = parser.parse_args()
    config = resolve(config_from(args), 'data', work_dir=args.work_dir)
    loader = config.get(f'{args.split}_dataloader')
    if loader is None:
        raise KeyError(f'{args.config} has no {args.split}_dataloader; try another --split')
    set_random_seed(config.randomness.get('seed') or 0)
    dataset = DATASETS.build(loader.dataset)
    if args.count < 1:
        raise ValueError(f'--count {args.count}: give 1 or more')
    rows = np.linspace(0, len(dataset) - 1, min(args.count, len(dataset))).astype(int).tolist()
    section = Section(
        args.split,
        f'Samples of {args.split}',
        'A record after each transform. Grey: masked pixels; word>[MASK]: a masked token.',
        pipeline_rows(dataset, rows),
    )
    written = write_sheet(
        args.out or Path(config.work_dir) / 'browse' / args.split,
        'MVLT: model inputs',
        [section],
        dict(config=args.config, records=len(dataset)),
    )
    print('\n'.join(map(str, written)))


if __name__ == '__main__':
    run_command(main)
