"""Benchmark of the service: latency and memory under many clients.

    python -m projects.search_service.benchmark MY_MODEL MY_INDEX --products 100000 --minutes 5

Fills an index with noisy copies of MY_INDEX's embeddings, serves it in another process and queries
it over HTTP: one client alone, then twenty clients with one query a second each.
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
from mvlt.files import write_json
from mvlt.retrieval.index import open_index
from mvlt.tools.benchmark_search import BLOCK, Rows
from mvlt.tools.command_line import run_command

TEXTS = ('blue jeans', 'red shoes', 'white shirt', 'black bag', 'green watch', 'men sandals')
PORT = 8765


def main() -> None:
    """Fill, serve, measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model')
    parser.add_argument('index', help='an index of the model; its embeddings are copied')
    parser.add_argument('--products', type=int, default=100_000)
    parser.add_argument('--clients', type=int, default=20)
    parser.add_argument('--minutes', type=float, default=5)
    parser.add_argument('--out')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        index = str(Path(folder, 'index'))
        fill(args.model, args.index, index, args.products)
        command = [sys.executable, '-m', 'projects.search_service.app', '--port', str(PORT)]
        command += ['--model', args.model, '--index', index, '--rate', '100000/second']
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


def fill(model: str, seeds: str, out: str, count: int) -> None:
    """Write an index of ``count`` rows with the columns of another index."""
    search = Search(model, seeds)
    seed_rows = search.index.fetch(sorted(set(search.index.keys()['product_id'].to_pylist())))
    vectors = seed_rows['vector'].combine_chunks().flatten()
    rows = Rows(np.asarray(vectors).reshape(len(seed_rows), -1), search.index.description.dims)
    index = open_index(out, search.index.description)
    names = list(index.description.columns)
    with index.writing():
        for start in range(0, count, BLOCK):
            numbers = np.arange(start, min(start + BLOCK, count))
            cells = seed_rows.take(numbers % len(seed_rows)).to_pydict()
            hashes = dict(
                image_index=[0] * len(numbers),
                image_hash=cells['image_hash'],
                row_hash=cells['row_hash'],
            )
            batch = index.rows(
                rows.vectors(start, len(numbers)),
                {name: cells[name] for name in names},
                product_id=[str(i) for i in numbers],
                **hashes,
            )
            index.upsert(batch)
        index.compact()


def wait() -> None:
    """Wait until the service answers."""
    for _ in range(300):
        try:
            httpx.get(f'http://127.0.0.1:{PORT}/healthz')
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise OSError('the service does not answer')


async def measure(pid: int, clients: int, seconds: float) -> dict:
    """Latency in ms, memory in MB, errors."""
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
    report = dict(queries=len(together), errors=errors, memory_mb=memory)
    for name, waited in (('alone', alone), ('together', together)):
        for share in (50, 95):
            report[f'{name}_p{share}_ms'] = 1e3 * float(np.percentile(waited, share))
    return report


async def ask(clients: int, seconds: float, pause: float) -> tuple[list[float], int]:
    """Latency in s of each query, and the number of failed ones."""
    waited: list[float] = []
    errors = 0

    async def client(number: int) -> None:
        nonlocal errors
        async with httpx.AsyncClient(base_url=f'http://127.0.0.1:{PORT}', timeout=60) as http:
            await asyncio.sleep(pause * number / clients)
            until = time.monotonic() + seconds
            turn = number
            while (started := time.monotonic()) < until:
                query = dict(text=TEXTS[turn % len(TEXTS)], topk=10)
                answer = await http.post('/search', json=query)
                waited.append(time.monotonic() - started)
                errors += answer.status_code != 200 or len(answer.json()['results']) != 10
                turn += 1
                await asyncio.sleep(max(0.0, pause - (time.monotonic() - started)))

    await asyncio.gather(*(client(number) for number in range(clients)))
    return waited, errors


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f'/proc/{pid}/status').read_text().split('VmRSS:')[1]
    return int(status.split()[0]) / 1e3


if __name__ == '__main__':
    run_command(main)
