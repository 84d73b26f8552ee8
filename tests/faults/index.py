"""Kill an index while writing, fill its disk, damage it; report the outcome.

    python -m tests.faults.index --kills 40

kills: kill -9 of a process that upserts, deletes, compacts and prints confirmed changes. The index
must then hold all confirmed changes. disk: a limit on file sizes. damage: a file truncated,
emptied, overwritten. Writes docs/results/<date>-index-faults.md.
"""

import argparse
import datetime
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mvlt.files import write_text
from mvlt.retrieval.index import Index, IndexDescription, open_index
from mvlt.tools.command_line import run_command

D = 32
DESCRIPTION = IndexDescription('faults', D, {'version': 'number'})
Row = tuple[str, str, str]


def main() -> None:
    """Inject faults and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--kills', type=int, default=40)
    parser.add_argument('--seed', type=int, default=0, help='of the times of kills')
    parser.add_argument('--out', type=Path, default=Path('docs/results'))
    parser.add_argument('--writer', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.writer:
        write_forever(args.writer, args.seed)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for row in (
            kills(Path(folder, 'kills'), args.kills, args.seed),
            full_disk(Path(folder, 'disk')),
            *damage(Path(folder, 'damage')),
        ):
            print(' | '.join(row), flush=True)
            rows.append(row)
    today = datetime.date.today()
    table = '\n'.join(f'| {" | ".join(row)} |' for row in rows)
    write_text(
        args.out / f'{today}-index-faults.md',
        f'# An index under faults\n\n{today}, `python -m tests.faults.index --kills {args.kills} '
        f'--seed {args.seed}`.\n\n| fault | injected | outcome |\n|---|---|---|\n{table}\n',
    )


def rows_of(index: Index, version: float, products: list[int]) -> object:
    """Rows of products, all with the same version."""
    embeddings = np.random.default_rng(int(version)).normal(size=(len(products), D))
    cells = dict(view=[0] * len(products), content=[''] * len(products), cells=[''] * len(products))
    ids = [str(product) for product in products]
    columns = dict(version=[version] * len(ids))
    return index.rows(embeddings.astype(np.float32), columns, product_id=ids, **cells)


def write_forever(path: str, seed: int) -> None:
    """Upsert, delete, compact; print each change after its confirmation."""
    index = open_index(path)
    rng = random.Random(seed)
    version = float(1 + max((value or 0 for value in versions(index).values()), default=0))
    while True:
        products = rng.sample(range(300), 20)
        print('try', version, *products, flush=True)
        index.upsert(rows_of(index, version, products))
        print('upserted', version, *products, flush=True)
        gone = rng.sample(products, 3)
        print('try', 0, *gone, flush=True)
        index.delete([str(value) for value in gone])
        print('deleted', 0, *gone, flush=True)
        if version % 4 == 0:
            index.compact(kept_seconds=0)
        version += 1


def versions(index: Index) -> dict[int, float]:
    """Product -> its version in the index."""
    ids = index.keys()['product_id'].to_pylist()
    rows = index.fetch(ids).to_pylist()
    assert len(rows) == len({row['product_id'] for row in rows}), 'a product has two rows'
    return {int(row['product_id']): row['version'] for row in rows}


def kills(folder: Path, count: int, seed: int) -> Row:
    """How often confirmed changes survived a kill."""
    open_index(folder, DESCRIPTION)
    rng = random.Random(seed)
    expected: dict[int, float] = {}
    survived = changes = 0
    for number in range(count):
        process = subprocess.Popen(
            [sys.executable, '-m', __spec__.name, '--writer', folder, '--seed', str(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()  # the writer has started
        time.sleep(rng.uniform(0.0, 1.5))
        process.kill()
        lines = [first, *process.stdout.read().splitlines()]
        process.wait()
        tried: set[int] = set()
        for what, version, products in parsed(lines):
            if what == 'try':
                tried = set(products)
                continue
            changes += 1
            tried = set()
            for product in products:
                if what == 'upserted':
                    expected[product] = version
                else:
                    expected.pop(product, None)
        index = open_index(folder)
        stored = versions(index)
        certain = {k: v for k, v in expected.items() if k not in tried}
        survived += {k: v for k, v in stored.items() if k not in tried} == certain
        assert len(index.search(np.ones(D), 10)) == min(10, len(stored))
        expected = stored
    outcome = f'{survived} of {count}: confirmed changes ({changes}) are kept'
    return 'kill -9 while upserting, deleting, compacting', str(count), outcome


def parsed(lines: list[str]) -> Iterator[tuple[str, float, list[int]]]:
    """Changes that a writer printed; truncated lines are skipped."""
    for line in lines:
        what, *numbers = line.split() or ['']
        if len(numbers) in (4, 21):
            yield what, float(numbers[0]), [int(number) for number in numbers[1:]]


def full_disk(folder: Path) -> Row:
    """An upsert without room fails in one line and changes nothing."""
    index = open_index(folder, DESCRIPTION)
    index.upsert(rows_of(index, 1.0, list(range(50))))
    code = (
        'import sys, resource; from tests.faults.index import *\n'
        'index = open_index(sys.argv[1]); rows = rows_of(index, 2.0, list(range(20000)))\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n'
        'run_command(lambda: index.upsert(rows))'
    )
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        done = subprocess.run(
            [sys.executable, '-c', code, str(folder)], capture_output=True, text=True
        )
    finally:
        signal.signal(signal.SIGXFSZ, before)
    lines = [line for line in done.stderr.splitlines() if line.startswith('error')]
    kept = set(versions(open_index(folder)).values()) == {1.0}
    message = lines[-1].replace(str(folder), 'INDEX')[:160] if lines else 'no line'
    outcome = f'status {done.returncode}, "{message}"; {"nothing lost" if kept else "LOST"}'
    return 'files of at most 200 kB', '1', outcome


def damage(folder: Path) -> Iterator[Row]:
    """Files truncated, emptied, overwritten: one line with a remedy, never a wrong answer."""
    whole = folder / 'whole'
    index = open_index(whole, DESCRIPTION)
    index.upsert(rows_of(index, 1.0, list(range(500))))
    index.compact(kept_seconds=0)
    files = sorted(file for file in whole.rglob('*') if file.is_file() and file.name != '.lock')
    ways = dict(
        halved=lambda content: content[: len(content) // 2],
        emptied=lambda content: b'',
        overwritten=lambda content: bytes(len(content)),
    )
    for name, way in ways.items():
        outcomes: dict[str, int] = {}
        for file in files:
            other = folder / 'other'
            shutil.rmtree(other, ignore_errors=True)
            shutil.copytree(whole, other)
            broken = other / file.relative_to(whole)
            broken.write_bytes(way(broken.read_bytes()))
            what = outcome(other)
            outcomes[what] = outcomes.get(what, 0) + 1
        summary = '; '.join(f'{n} x {what}' for what, n in sorted(outcomes.items()))
        yield (f'each file {name}', str(len(files)), summary)


def outcome(path: Path) -> str:
    """Outcome of opening and searching a damaged index."""
    try:
        index = open_index(path)
        rows = index.search(np.ones(D), 10)
    except (ValueError, OSError) as error:
        return 'one line with a remedy' if 'again' in str(error) else f'UNCLEAR: {error}'
    except BaseException as error:
        return f'UNCLEAR: {type(error).__name__}'
    return 'read correctly' if len(rows) == 10 else 'FEWER RESULTS'


if __name__ == '__main__':
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    run_command(main)
