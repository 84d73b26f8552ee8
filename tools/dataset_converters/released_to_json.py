"""Convert the released code's processed Fashion-Gen folder to JSON, once.

    tools/dataset_converters/released_to_json.py FOLDER [--check]

Writes FOLDER/train.json and FOLDER/valid.json, which mvlt.datasets.PairJSON reads. Pickles are read
without running anything; one that asks for a class is refused.
"""

import argparse
from collections import Counter
from pathlib import Path

from rich.progress import track

from mvlt.datasets.released import SPLITS, read_released
from mvlt.engine.command_line import run_command
from mvlt.engine.results import write_json


def main() -> None:
    """Parse, read everything, then write whole files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path)
    parser.add_argument('--check', action='store_true', help='only validate, write nothing')
    args = parser.parse_args()
    found = {}
    for split in SPLITS:
        records = list(track(read_released(args.folder, split), description=split, total=None))
        found[split] = records
        categories = Counter(record['main_category'] for record in records)
        print(
            f'{split}: {len(records)} pictures, '
            f'{len({record["product_id"] for record in records})} products, '
            f'{len(categories)} main and {len({r["sub_category"] for r in records})} sub-categories'
        )
    if args.check:
        print('nothing written (--check)')
        return
    for split, records in found.items():
        write_json(args.folder / f'{split}.json', dict(records=records))
        print(f'{args.folder / split}.json written')


if __name__ == '__main__':
    run_command(main)
