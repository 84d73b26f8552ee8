"""Validate raw Fashion-Gen files and say what they hold.

    tools/dataset_converters/check_fashion_gen.py FOLDER [--side 256]

Nothing needs converting: mvlt.datasets.FashionGen reads the raw HDF5. Every image is read once.
"""

import argparse
from pathlib import Path

from mmengine.logging import MMLogger
from rich.progress import track

from mvlt.command_line import run_command
from mvlt.datasets import FashionGen

# The published files' rows; others are legal, swapped ones are not.
ROWS = dict(train=260_490, validation=32_528)


def main() -> None:
    """Parse, open both splits, read every image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path)
    parser.add_argument('--side', type=int, default=256, help='of the pictures, in the file names')
    parser.add_argument(
        '--check', action='store_true', help='the only thing this does; accepted for uniformity'
    )
    args = parser.parse_args()
    MMLogger.get_instance('check_fashion_gen')
    names = {split: f'fashiongen_{args.side}_{args.side}_{split}.h5' for split in ROWS}
    sizes = {}
    for split, name in names.items():
        dataset = FashionGen(
            data_root=str(args.folder),
            ann_file=name,
            classes_from=None if split == 'train' else names['train'],
            serialize_data=False,
        )
        products = set()
        for row in track(range(len(dataset)), description=split):
            record = dataset.load(dataset.get_data_info(row))
            products.add(record['product_id'])
        sizes[split] = len(dataset)
        print(
            f'{name}: {len(dataset)} pictures, {len(products)} products, '
            f'{len(dataset.metainfo["main_category"])} main and '
            f'{len(dataset.metainfo["sub_category"])} sub-categories'
        )
        if len(dataset) != ROWS[split]:
            print(f'  (the published file has {ROWS[split]} pictures)')
    if sizes['validation'] > sizes['train']:
        raise ValueError(
            f'{args.folder}: the validation file holds more than the training file '
            f'({sizes["validation"]} > {sizes["train"]}): were the two swapped?'
        )


if __name__ == '__main__':
    run_command(main)
