"""Speed and recall of an index: many embeddings, filters, a day's changes.

    tools/benchmark_search.py MY_INDEX --rows 1000000 --dims 256 --out search.json

Rows are embeddings of an index made by tools/build_index.py, rotated into ``--dims`` dimensions,
with small noise. Queries are rows with other noise. The reference is the exact product with all
rows. Building and serving run in their own processes, whose memory is measured.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mvlt.files import write_json
from mvlt.retrieval.index import IndexDescription, Where, open_index
from mvlt.tools.command_line import run_command

BLOCK = 20_000
COLUMNS: dict = {'part': 'number', 'group': 'text'}
FILTERS: dict[str, Where | None] = {
    'all': None,
    '10 %': {'group': 'g3'},
    '1 %': {'part': {'min': 100, 'max': 109}},
    '0.1 %': {'part': 7},
}
NEIGHBOURS = 10


class Rows:
    """Embeddings by number, the same in every process.

    Args:
        seeds: float32 (n, d), of length 1.
        dims: of the embeddings, at least d.
        noise: standard deviation of the distance from the seed, over all dimensions.
    """

    def __init__(self, seeds: np.ndarray, dims: int, noise: float = 0.3) -> None:
        rng = np.random.default_rng(0)
        turn = np.linalg.qr(rng.normal(size=(dims, seeds.shape[1])))[0].T
        self.seeds = (seeds @ turn).astype(np.float32)
        self.noise = noise

    def vectors(self, start: int, count: int, version: int = 0) -> np.ndarray:
        """Rows from ``start`` on, float32 (count, dims); a replaced row has another version."""
        rng = np.random.default_rng((start, version))
        seeds = self.seeds[rng.integers(len(self.seeds), size=count)]
        dims = seeds.shape[1]
        spread = rng.normal(size=(count, dims)).astype(np.float32) * (self.noise / dims**0.5)
        vectors = seeds + spread
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def table(index: Any, numbers: np.ndarray, vectors: np.ndarray) -> Any:
    """Rows of an index: ``part`` is the number modulo 1000, ``group`` modulo 10."""
    columns = dict(part=[float(i % 1000) for i in numbers], group=[f'g{i % 10}' for i in numbers])
    none = [''] * len(numbers)
    keys = dict(image_index=np.zeros(len(numbers)), image_hash=none, row_hash=none)
    return index.rows(vectors, columns, product_id=[str(i) for i in numbers], **keys)


def blocks(rows: Rows, total: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers and embeddings of all rows."""
    for start in range(0, total, BLOCK):
        count = min(BLOCK, total - start)
        yield np.arange(start, start + count), rows.vectors(start, count)


def build(address: str, rows: Rows, total: int) -> dict[str, Any]:
    """Fill a new index and compact it."""
    index = open_index(address, IndexDescription('benchmark', rows.seeds.shape[1], COLUMNS))
    started = time.perf_counter()
    with index.writing():
        for numbers, vectors in blocks(rows, total):
            index.upsert(table(index, numbers, vectors))
        filled = time.perf_counter()
        index.compact(kept_seconds=0)
    done = time.perf_counter()
    return dict(filling_s=filled - started, compact_s=done - filled, disk_mb=disk(address))


def change(address: str, rows: Rows, total: int) -> dict[str, Any]:
    """Delete a fifth, replace another, then 1,000 single upserts; compact after each."""
    index = open_index(address)
    started = time.perf_counter()
    with index.writing():
        for start in range(0, total, BLOCK):
            numbers = np.arange(start, min(start + BLOCK, total))
            index.delete([str(i) for i in numbers[numbers % 5 == 0]])
            again = numbers[numbers % 5 == 1]
            index.upsert(table(index, again, rows.vectors(start, len(again), 1)))
        index.compact()
    changed = time.perf_counter()
    singles = rows.vectors(0, 1000, 2)
    for i in range(1000):
        index.upsert(table(index, np.array([total + i]), singles[i : i + 1]))
    single = time.perf_counter()
    before = disk(address)
    index.compact(kept_seconds=0)  # the default keeps what is so young
    return dict(
        changed_s=changed - started,
        single_upsert_ms=single - changed,  # of 1,000
        disk_before_compact_mb=before,
        disk_mb=disk(address),
        compact_s=time.perf_counter() - single,
        rows=index.count(),
    )


def serve(
    address: str, rows: Rows, total: int, asked: np.ndarray, exact: dict, changed: bool
) -> dict[str, Any]:
    """Time of a query and recall of the exact neighbours, for each filter."""
    index = open_index(address)
    rng = np.random.default_rng(1)
    queries = len(asked)
    measured: dict[str, Any] = {}
    for query in rows.vectors(0, 100, 8):  # warm-up, as in a running service
        index.search(query, NEIGHBOURS)
    for name, where in FILTERS.items():
        index.search(asked[0], NEIGHBOURS, where)
        seconds, hits, gone = [], 0, 0
        for i in rng.permutation(queries):
            started = time.perf_counter()
            got = index.search(asked[i], NEIGHBOURS, where)
            seconds.append(time.perf_counter() - started)
            ids = {int(number) for number in got['product_id'].to_pylist()}
            hits += len(ids & set(exact[name][i]))
            gone += sum(number < total and number % 5 == 0 for number in ids) if changed else 0
        measured[name] = dict(
            p50_ms=1e3 * float(np.percentile(seconds, 50)),
            p95_ms=1e3 * float(np.percentile(seconds, 95)),
            recall=hits / (queries * NEIGHBOURS),
            deleted_found=gone,
        )
    return measured


def exact_neighbours(rows: Rows, total: int, asked: np.ndarray, changed: bool) -> dict[str, Any]:
    """The ten exact nearest rows of each query, under each filter."""
    best: dict[str, list[list[tuple[float, int]]]] = {n: [[] for _ in asked] for n in FILTERS}
    for numbers, vectors in _now(rows, total, changed):
        similarity = asked @ vectors.T
        masks = dict(
            zip(
                FILTERS,
                (
                    np.ones(len(numbers), bool),
                    numbers % 10 == 3,
                    (numbers % 1000 >= 100) & (numbers % 1000 <= 109),
                    numbers % 1000 == 7,
                ),
            )
        )
        for name, mask in masks.items():
            selected = numbers[mask]
            values = similarity[:, mask]
            for i, row in enumerate(values):
                first = np.argsort(-row)[:NEIGHBOURS]
                merged = best[name][i] + [(float(row[j]), int(selected[j])) for j in first]
                best[name][i] = sorted(merged, reverse=True)[:NEIGHBOURS]
    return {
        name: [[i for _, i in neighbours] for neighbours in lists] for name, lists in best.items()
    }


def _now(rows: Rows, total: int, changed: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All rows, before or after :func:`change`."""
    for numbers, vectors in blocks(rows, total):
        if changed:
            again = numbers % 5 == 1
            vectors = vectors.copy()
            vectors[again] = rows.vectors(int(numbers[0]), int(again.sum()), 1)
            kept = numbers % 5 != 0
            numbers, vectors = numbers[kept], vectors[kept]
        yield numbers, vectors
    if changed:
        yield np.arange(total, total + 1000), rows.vectors(0, 1000, 2)


def disk(address: str) -> float:
    """MB of a folder; 0 for a server."""
    files = [file for file in Path(address).rglob('*') if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def apart(work: Callable, *args: Any) -> dict[str, Any]:
    """Run ``work`` in its own process; its result and its peak memory."""
    print(f'{work.__name__} ...', flush=True)
    context = multiprocessing.get_context('spawn')
    with context.Pool(1) as pool:
        return pool.apply(_measured, (work, args))


def _measured(work: Callable, args: tuple) -> dict[str, Any]:
    result = work(*args)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return dict(result, peak_memory_mb=peak)


def exact_ms(rows: Rows, total: int) -> dict[str, Any]:
    """Median time of an exact product with all rows."""
    everything = np.concatenate([vectors for _, vectors in blocks(rows, total)])
    seconds = []
    for query in rows.vectors(0, 20, 9):
        started = time.perf_counter()
        np.argpartition(-(everything @ query), NEIGHBOURS)
        seconds.append(time.perf_counter() - started)
    return dict(p50_ms=1e3 * float(np.median(seconds)))


def main() -> None:
    """Parse, build, query, change, query again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('index', help='its embeddings are the seeds')
    parser.add_argument('--rows', type=int, default=1_000_000)
    parser.add_argument('--dims', type=int, default=256)
    parser.add_argument('--queries', type=int, default=200)
    parser.add_argument('--place', help='of the new index; default: a temporary folder')
    parser.add_argument('--out', help='also write the results as JSON')
    args = parser.parse_args()
    index = open_index(args.index)
    ids = sorted(set(index.keys()['product_id'].to_pylist()))
    stored = index.fetch(ids)['vector'].combine_chunks().flatten()
    seeds = np.asarray(stored).reshape(-1, index.description.dims)
    rows = Rows(seeds, args.dims)
    folder = tempfile.mkdtemp()
    address = args.place or str(Path(folder, 'index'))
    report: dict[str, Any] = dict(rows=args.rows, dims=args.dims, cores=os.cpu_count())
    try:
        asked = rows.vectors(0, args.queries, 9)
        report['exact'] = apart(exact_ms, rows, args.rows)
        for changed in (False, True):
            work = change if changed else build
            report[work.__name__] = apart(work, address, rows, args.rows)
            exact = apart(exact_neighbours, rows, args.rows, asked, changed)
            served = apart(serve, address, rows, args.rows, asked, exact, changed)
            report['serve_changed' if changed else 'serve'] = served
            print(report, flush=True)
    finally:
        shutil.rmtree(folder)
    if args.out:
        write_json(args.out, report)


if __name__ == '__main__':
    run_command(main)
