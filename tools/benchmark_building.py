"""Time of building an index, beside decoding alone and the model alone.

    tools/benchmark_building.py MY_MODEL MY_CATALOGUE/products.csv --images 2000 --repeat 3

Building decodes and embeds in parallel, so the slower of the two is its lower bound. The best of
the repeats counts.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mvlt.apis import Search
from mvlt.checkpoints import open_model
from mvlt.retrieval.records import Records
from mvlt.tools.command_line import run_command


def main() -> None:
    """Parse, time, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model')
    parser.add_argument('catalogue')
    parser.add_argument(
        '--images', type=int, default=2000, help='number of images, from the first row on'
    )
    parser.add_argument('--repeat', type=int, default=3)
    parser.add_argument('--dtype', choices=('float32', 'bfloat16'), default='float32')
    args = parser.parse_args()
    model = open_model(args.model)
    records = Records(args.catalogue)
    rows = range(min(args.images, len(records)))
    with tempfile.TemporaryDirectory() as folder:
        made = iter(range(args.repeat))
        some = [records.path(row) for row in rows]

        def search() -> Search:
            index_folder = Path(folder, f'{next(made)}')
            return Search(model, index_folder, dtype=args.dtype, show_progress=False)

        opened = Search(model, Path(folder, 'none'), dtype=args.dtype)

        def decode() -> list:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return list(pool.map(lambda row: opened.pixels(records.read(row)), rows))

        pixels = decode()
        seconds = dict(
            decoding=best(decode, args.repeat),
            model=best(lambda: opened.embed_images(pixels), args.repeat),
            building=best(lambda: search().build(some), args.repeat),
        )
    for name, duration in seconds.items():
        print(f'{name:9s} {duration:7.2f} s  {len(rows) / duration:7.0f} images/s')
    larger = max(seconds['decoding'], seconds['model'])
    print(f'building / the slower of both: {seconds["building"] / larger:.2f}')


def best(job: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest of some runs."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        job()
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == '__main__':
    run_command(main)
