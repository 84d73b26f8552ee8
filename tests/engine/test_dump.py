"""Contract: the dump of a run is a config that mmengine can run again."""

import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.config import load_config
from mvlt.engine import QuietRunner
from mvlt.engine.launch import build_runner
from tests.commands import run_apart

AGAIN = """
import sys
import mvlt
from mmengine.config import Config
from mmengine.runner import Runner

for dump, task in zip(sys.argv[1:], ('train', 'test')):
    config = Config.fromfile(dump)
    config.work_dir += '_again'
    getattr(Runner.from_cfg(config), task)()
"""
LAST = 'iter_4.pth'


@pytest.fixture(scope='module')
def runs(small_config, demo_data, tmp_path_factory):
    """A training and its test by our Runner, and both from their dumps by mmengine's Runner."""
    root = tmp_path_factory.mktemp('runs')
    build_runner(small_config(root / 'train'), work_dir=str(root / 'train')).train()
    protocol = load_config('configs/demo/retrieval_full_demo.py', data_root=str(demo_data))
    checkpoint = str(root / 'train' / LAST)
    build_runner(protocol, 'test', checkpoint, work_dir=str(root / 'test')).test()
    dumps = [next((root / task).glob('*.py')) for task in ('train', 'test')]
    done = run_apart(sys.executable, '-c', AGAIN, *dumps)
    assert done.returncode == 0, done.stderr[-2000:]
    return root


def test_mmengines_runner_trains_the_same(runs):
    ours, theirs = (
        read_checkpoint(str(runs / folder / LAST))['state_dict']
        for folder in ('train', 'train_again')
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def test_mmengines_runner_tests_the_same(runs):
    ours, theirs = (
        json.loads((runs / folder / 'results.json').read_text())
        for folder in ('test', 'test_again')
    )
    assert ours.pop('config') != theirs.pop('config')  # the dump is a file of its own
    assert ours == theirs and ours['metrics']


def test_the_dump_of_that_run_reads_as_the_first(runs):
    """mmengine's Config sorts keys, and a pipeline's order is its meaning."""
    for task in ('train', 'test'):
        (first,), (second,) = ((runs / name).glob('*.py') for name in (task, f'{task}_again'))
        assert first.read_text().replace(str(runs / task), '') == second.read_text().replace(
            str(runs / f'{task}_again'), ''
        )
    held = Config.fromstring(
        read_checkpoint(str(runs / 'train_again' / LAST))['meta']['cfg'], '.py'
    )
    assert list(held.test_dataloader.dataset.pipeline)[-1] == 'pack'


def test_mmengine_builds_the_runner_that_the_dump_names(runs):
    (dump,) = (runs / 'test').glob('*.py')
    config = Config.fromfile(dump)
    config.work_dir = str(Path(config.work_dir).parent / 'built')
    assert type(RUNNERS.build(config)) is QuietRunner
