"""Print Tables 2, 3, 4 and 6 of the paper, its figures beside those that were measured.

    tools/analysis_tools/paper_tables.py work_dirs [MORE ...]

Every results.json below the folders is read. Which row it belongs to follows from the name of the
config that pre-trained its checkpoint: a1_..., d3_..., and "Final" for pretrain_fashiongen or
pretrain_catalogue; several seeds give mean and standard deviation. Each data set that the results
name has tables of its own. Cells read "paper | ours"; rows without a result are named below.
"""

import argparse
import csv
import json
import re
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

from mvlt.engine.command_line import run_command

# Paper Table 3; its column Final is Table 2's MVLT, E1 and Final are Table 4's.
# metric of results.json, its name in the paper, its figures
with open(Path(__file__).with_name('paper_table_3.csv'), encoding='utf-8', newline='') as file:
    METRICS = {row['metric']: row for row in csv.DictReader(file)}
# Table 6, the rows of MVLT: full ranking of the 5,000 test images
COCO = dict(
    zip(
        [f'retrieval/{way}/R@{k}' for way in ('tir', 'itr') for k in (1, 5, 10)],
        (49.66, 79.88, 87.50, 65.38, 90.04, 93.60),
    )
)
TABLES = {
    'Table 2 (MVLT)': ('Final',),
    'Table 3 (a), mask ratio': ('A1', 'A2', 'A3', 'A4', 'Final'),
    'Table 3 (b), masking unit': ('B1', 'B2', 'B3', 'B4', 'Final'),
    'Table 3 (c), masking style': ('C1', 'C2', 'C3', 'Final'),
    'Table 3 (d), objectives': ('D1', 'D2', 'D3', 'Final'),
    'Table 3 (e) and Table 4, ImageNet start': ('E1', 'Final'),
}
Found = dict[tuple[str, str], list[float]]


def main() -> None:
    """Read, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folders', type=Path, nargs='+')
    args = parser.parse_args()
    found, sources = read_results(args.folders)
    for source in sources:
        print(f'read: {source}')
    for data in sorted(found):
        print(f'\n===== {data}')
        print('\n'.join(tables(found[data])))


def read_results(folders: list[Path]) -> tuple[dict[str, Found], list[str]]:
    """By data set, the values of each (column, metric); and a line for each file read.

    Raises:
        FileNotFoundError, ValueError: a folder is missing, a file is no result of ours.
    """
    found: dict[str, Found] = defaultdict(lambda: defaultdict(list))
    sources = []
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f'{folder}: no such folder')
        for path in sorted(folder.rglob('results.json')):
            try:
                content = json.loads(path.read_text(encoding='utf-8'))
                run, metrics = content.get('run', {}), content['metrics']
            except (json.JSONDecodeError, KeyError, AttributeError) as error:
                raise ValueError(f'{path}: not a result of tools/test.py ({error})') from error
            column = column_of(run, content['config'])
            sources.append(f'{path} -> {column or "no row of the paper"}')
            if column is not None:
                for name, value in metrics.items():
                    found[_data(content)][column, name].append(value)
    return found, sources


def column_of(run: dict, config: str) -> str | None:
    """A column of the tables, 'COCO', or None; from the pre-training that a result goes back to."""
    name = (run.get('started_from') or run).get('experiment_name', '')
    if 'coco' in Path(config).stem:
        return 'COCO'
    if match := re.match(r'([a-e]\d)_', name):
        return match[1].upper()
    return 'Final' if re.match(r'pretrain_(fashiongen|catalogue)_\d', name) else None


def _data(content: dict) -> str:
    """What was evaluated on: two results of one name are comparable."""
    data = content.get('data', {})
    return ', '.join(f'{key} {data[key]}' for key in sorted(data)) or 'data not named'


def tables(found: Found) -> list[str]:
    """The lines to print."""
    lines = []
    for title, columns in TABLES.items():
        width = 30
        lines += ['', title, ''.join([f'{"paper | ours":18}', *(f'{c:>{width}}' for c in columns)])]
        for key, row in METRICS.items():
            cells = [
                f'{row[column]} | {_ours(found.get((column, key)), key)}' for column in columns
            ]
            lines.append(''.join([f'{row["name"]:18}', *(f'{cell:>{width}}' for cell in cells)]))
        empty = [c for c in columns if not any((c, key) in found for key in METRICS)]
        lines.append(f'empty: {", ".join(empty) or "none"}')
    lines += ['', 'Table 6 (MVLT, COCO, full 5k ranking)']
    lines += [
        f'{key:24}{figure} | {_ours(found.get(("COCO", key)), key)}' for key, figure in COCO.items()
    ]
    lines.append('empty: none' if any(c == 'COCO' for c, _ in found) else 'empty: all')
    return lines


def _ours(values: list[float] | None, key: str) -> str:
    """Mean, sample standard deviation, number of runs."""
    if not values:
        return '-'
    digits = 3 if key.endswith('macro_f') else 2
    spread = f' +- {stdev(values):.{digits}f}' if len(values) > 1 else ''
    return f'{mean(values):.{digits}f}{spread} (n={len(values)})'


if __name__ == '__main__':
    run_command(main)
