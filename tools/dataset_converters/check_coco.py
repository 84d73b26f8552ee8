"""Validate COCO 2014 with Karpathy's split and say what it holds.

    tools/dataset_converters/check_coco.py FOLDER

Nothing needs converting: mvlt.datasets.COCOCaptions reads Karpathy's dataset_coco.json beside
train2014/ and val2014/. Every picture is decoded once.
"""

import argparse
from pathlib import Path

from rich.progress import track

from mvlt.command_line import run_command
from mvlt.datasets import COCOCaptions, LoadImage


def main() -> None:
    """Parse, open the splits, decode every picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path)
    parser.add_argument('--ann-file', default='dataset_coco.json')
    parser.add_argument('--names-only', action='store_true', help='do not decode the pictures')
    parser.add_argument(
        '--check', action='store_true', help='the only thing this does; accepted for uniformity'
    )
    args = parser.parse_args()
    load = LoadImage()
    for split in ('train', 'val', 'test'):
        dataset = COCOCaptions(
            data_root=str(args.folder), ann_file=args.ann_file, split=split, serialize_data=False
        )
        paths = dict.fromkeys(dataset.get_data_info(row)['img_path'] for row in range(len(dataset)))
        if not args.names_only:
            for path in track(list(paths), description=split):
                load(dict(img_path=path))
        print(f'{split}: {len(paths)} pictures, {len(dataset)} captions')


if __name__ == '__main__':
    run_command(main)
