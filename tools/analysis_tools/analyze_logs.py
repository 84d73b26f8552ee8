"""Plot the logs of one or more trainings.

    tools/analysis_tools/analyze_logs.py work_dirs/pretrain_catalogue --out losses.png
    tools/analysis_tools/analyze_logs.py work_dirs/a work_dirs/b --keys loss_itm lr --out itm.svg

A resumed run is one line.
"""

import argparse
from pathlib import Path

from mvlt.files import written_whole
from mvlt.tools.command_line import run_command
from mvlt.tools.figures.curves import draw_losses, read_scalars

KINDS = ('png', 'svg', 'pdf')


def main() -> None:
    """Parse, read, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dirs', type=Path, nargs='+')
    parser.add_argument('--keys', nargs='+', help='logged values; default: every loss')
    parser.add_argument('--out', type=Path, default=Path('losses.png'), help=', '.join(KINDS))
    args = parser.parse_args()
    kind = args.out.suffix.removeprefix('.')
    if kind not in KINDS:
        raise ValueError(f'--out {args.out}: legal suffixes are {", ".join(KINDS)}')
    runs = {str(folder): read_scalars(folder) for folder in args.work_dirs}
    for folder, entries in runs.items():
        if not entries:
            raise FileNotFoundError(f'{folder}: no training log (*/vis_data/scalars.json)')
    logged = list(dict.fromkeys(key for run in runs.values() for entry in run for key in entry))
    keys = args.keys or [key for key in logged if key.startswith('loss')]
    unknown = [key for key in keys if key not in logged]
    if unknown:
        raise KeyError(f'--keys {unknown[0]}: not in the log; legal: {logged}')
    with written_whole(args.out) as file:
        file.write(draw_losses(runs, keys, kind))
    print(args.out)


if __name__ == '__main__':
    run_command(main)
