"""Delete what galleries have left in the cache and nobody reads any more.

tools/clean_cache.py                 # as is done by itself: 20 GB, 90 days
tools/clean_cache.py --max-gb 0      # all, but for what was read within the hour
"""

import argparse
from pathlib import Path

from mvlt.command_line import run_command
from mvlt.retrieval.cache import CACHE, MAX_BYTES, MAX_DAYS, trim


def main() -> None:
    """Parse, delete, say how much."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--folder', type=Path, default=CACHE, help='default: %(default)s')
    parser.add_argument('--max-gb', type=float, default=MAX_BYTES / 1e9, help='that may stay')
    parser.add_argument('--days', type=float, default=MAX_DAYS, help='since it was read')
    args = parser.parse_args()
    freed = trim(args.folder, 1e9 * args.max_gb, args.days)
    print(f'{args.folder}: {freed / 1e6:.1f} MB freed')


if __name__ == '__main__':
    run_command(main)
