"""Contract: one JSON line for each job; ratios are ours / theirs. Speed is not tested."""

import json

import pytest
from PIL import Image

from mvlt.tools.benchmark import _spread
from tests.commands import run_here

SMALL = ('--size', 64, '--batch', 2, '--steps', 1, '--warmup', 0, '--device', 'cpu', '--words', 6)


def _run(*options):
    done = run_here('tools/benchmark.py', *options)
    return done, (json.loads(done.stdout.strip().splitlines()[-1]) if not done.returncode else None)


def test_spread():
    assert _spread([3.0, 1.0, 2.0]) == dict(median=2.0, least=1.0, most=3.0)


def test_against_another_script(tmp_path):
    other = tmp_path / 'other.py'
    line = dict(job='train', pairs_per_s=0.5, peak_memory_bytes=10**9)
    other.write_text(f'import json\nprint(json.dumps({line}))\n')
    _, report = _run('train', *SMALL, '--rounds', 1, '--against', other)
    ours, theirs = report['pairs_per_s']
    assert theirs == 0.5 and report['speed_ratio']['median'] == pytest.approx(2 * ours, abs=0.01)
    assert report['peak_memory_ratio']['least'] > 0.3  # weights alone are 0.17 GB


def test_retrieval_and_data_from_files(tmp_path):
    for i in range(6):
        Image.new('RGB', (80, 70), (40 * i, 0, 0)).save(tmp_path / f'{i}.jpg')
    _, report = _run('retrieve', *SMALL, '--queries', 1, '--images', tmp_path, '--dtype', 'fp32')
    assert report['queries_per_s'] > 0
    _, report = _run('data', *SMALL, '--images', tmp_path)
    assert report['pairs_per_s'] > 0
    done, _ = _run('data', *SMALL)
    assert done.returncode == 2 and 'needs --images' in done.stderr


def test_parts_add_up():
    _, report = _run('model', *SMALL)
    flops, parameters = report['gflop_per_pair'], report['parameters']
    assert sum(flops.values()) - flops['total'] == pytest.approx(flops['total'], rel=0.01)
    assert sum(parameters.values()) == 2 * parameters['total']
