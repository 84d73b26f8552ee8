"""Convert the released code's processed Fashion-Gen folder to JSON, once.

    tools/dataset_converters/released_to_json.py FOLDER [--check]

Writes FOLDER/train.json and FOLDER/valid.json, which mvlt.datasets.PairJSON reads, and, where
retrieve_TIR and retrieve_ITR are there, FOLDER/candidates.json with their 101-lists, for
test_cfg.candidates of a retrieval config. Pickles are read without running anything; one that asks
for a class is refused.
"""

import argparse
from collections import Counter
from pathlib import Path

from rich.progress import track

from mvlt.command_line import run_command
from mvlt.datasets.candidate_files import candidate_file
from mvlt.datasets.released import SPLITS, read_released, read_released_lists
from mvlt.files import write_json


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
    lists = read_released_lists(args.folder, found['valid'])
    for direction, ids in lists.items():
        print(f'{direction}: {len(ids)} lists of {max(map(len, ids), default=0)} candidates')
    if args.check:
        print('nothing written (--check)')
        return
    for split, records in found.items():
        write_json(args.folder / f'{split}.json', dict(records=records))
        print(f'{args.folder / split}.json written')
    if lists:
        content = candidate_file(
            dict(source='retrieve_TIR and retrieve_ITR of the released code'),
            dict(ann_file='valid.json', rows=len(found['valid'])),
            [lists],
        )
        write_json(args.folder / 'candidates.json', content, indent=None)
        print(f'{args.folder}/candidates.json written')


if __name__ == '__main__':
    run_command(main)
