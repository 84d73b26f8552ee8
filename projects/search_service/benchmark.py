"""Many clients at a service: how long they wait, how much memory it takes.

    python -m projects.search_service.benchmark MY_MODEL MY_INDEX --products 100000 --minutes 5

Makes an index of so many products, the vectors of MY_INDEX spread by small noise, serves it in a
process of its own, and asks it over HTTP: one client alone, then twenty, each a query a second.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np

from mvlt.apis import Search
from mvlt.command_line import run_command
from mvlt.files import write_json
from mvlt.retrieval.index import open_index
from mvlt.tools.benchmark_search import BLOCK, Rows

WORDS = ('blue jeans', 'red shoes', 'white shirt', 'black bag', 'green watch', 'men sandals')
PORT = 8765


def main() -> None:
    """Parse, fill, serve, ask."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model')
    parser.add_argument('index', help='of the model; whose vectors are the seeds')
    parser.add_argument('--products', type=int, default=100_000)
    parser.add_argument('--clients', type=int, default=20)
    parser.add_argument('--minutes', type=float, default=5)
    parser.add_argument('--out')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder, 'index'))
        fill(args.model, args.index, place, args.products)
        command = [sys.executable, '-m', 'projects.search_service.app', '--port', str(PORT)]
        command += ['--model', args.model, '--index', place, '--rate', '100000/second']
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            print(process.stdout.readline(), end='')
            wait()
            report = asyncio.run(measure(process.pid, args.clients, 60 * args.minutes))
        finally:
            process.terminate()
            process.wait()
    report.update(products=args.products, clients=args.clients, minutes=args.minutes)
    print(report)
    if args.out:
        write_json(args.out, report)


def fill(model: str, seeds: str, place: str, count: int) -> None:
    """An index with the columns of another one, and as many rows as wanted."""
    search = Search(model, seeds)
    known = search.index.fetch(sorted(set(search.index.keys()['product_id'].to_pylist())))
    vectors = known['vector'].combine_chunks().flatten()
    rows = Rows(np.asarray(vectors).reshape(len(known), -1), search.index.description.dims)
    index = open_index(place, search.index.description)
    names = list(index.description.columns)
    with index.writing():
        for start in range(0, count, BLOCK):
            numbers = np.arange(start, min(start + BLOCK, count))
            cells = known.take(numbers % len(known)).to_pydict()
            own = dict(
                image_index=[0] * len(numbers),
                image_hash=cells['image_hash'],
                row_hash=cells['row_hash'],
            )
            made = index.rows(
                rows.vectors(start, len(numbers)),
                {name: cells[name] for name in names},
                product_id=[str(i) for i in numbers],
                **own,
            )
            index.upsert(made)
        index.compact()


def wait() -> None:
    """Until the service answers."""
    for _ in range(300):
        try:
            httpx.get(f'http://127.0.0.1:{PORT}/healthz')
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise OSError('the service does not answer')


async def measure(pid: int, clients: int, seconds: float) -> dict:
    """Waiting times in ms, memory in MB, errors."""
    alone, _ = await ask(1, 30, pause=0.0)
    memory = [resident_mb(pid)]
    together: list[float] = []
    errors = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        waited, wrong = await ask(clients, min(30.0, until - time.monotonic()), pause=1.0)
        together += waited
        errors += wrong
        memory.append(resident_mb(pid))
    found = dict(queries=len(together), errors=errors, memory_mb=memory)
    for name, waited in (('alone', alone), ('together', together)):
        for share in (50, 95):
            found[f'{name}_p{share}_ms'] = 1e3 * float(np.percentile(waited, share))
    return found


async def ask(clients: int, seconds: float, pause: float) -> tuple[list[float], int]:
    """What each query of some clients waited, and how many were not answered."""
    waited: list[float] = []
    errors = 0

    async def client(number: int) -> None:
        nonlocal errors
        async with httpx.AsyncClient(base_url=f'http://127.0.0.1:{PORT}', timeout=60) as http:
            await asyncio.sleep(pause * number / clients)
            until = time.monotonic() + seconds
            turn = number
            while (started := time.monotonic()) < until:
                query = dict(text=WORDS[turn % len(WORDS)], topk=10)
                answer = await http.post('/search', json=query)
                waited.append(time.monotonic() - started)
                errors += answer.status_code != 200 or len(answer.json()['found']) != 10
                turn += 1
                await asyncio.sleep(max(0.0, pause - (time.monotonic() - started)))

    await asyncio.gather(*(client(number) for number in range(clients)))
    return waited, errors


def resident_mb(pid: int) -> float:
    """Memory of a process."""
    status = Path(f'/proc/{pid}/status').read_text().split('VmRSS:')[1]
    return int(status.split()[0]) / 1e3


if __name__ == '__main__':
    run_command(main)
