"""Contract: two processes train as one would, go on exactly, and survive the death of one."""

import json
import os
import subprocess
import sys
import time

import pytest
import torch

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.config import load_config
from mvlt.engine import resolve
from mvlt.registry import MODELS
from tests.commands import ROOT, run_here
from tests.faults.runs import free_port, kill_rank

STEPS = 12
SMALL = {
    'model.backbone.embed_dims': (8, 16, 24, 32),
    'model.backbone.num_heads': (1, 1, 1, 1),
}
# without the U-Net, whose BatchNorm knows its own process's pictures only, and without dropout
OPTIONS = [
    'default_hooks.checkpoint.interval=1',
    'default_hooks.checkpoint.max_keep_ckpts=-1',
    f'train_cfg.max_iters={STEPS}',
    'model.backbone.embed_dims=(8,16,24,32)',
    'model.backbone.num_heads=(1,1,1,1)',
    'model.neck=None',
    'model.heads.mir=None',
    'model.backbone.word_dropout=0.0',
    'model.backbone.drop_path_rate=0.0',
]


def _launch(config, *options, tool='tools/dist_train.sh', **environment):
    """Two processes; dist_test.sh wants the checkpoint, the first option, before their number."""
    first, others = (options[:1], options[1:]) if tool.endswith('test.sh') else ((), options)
    return subprocess.Popen(
        [str(word) for word in (tool, config, *first, 2, *others)],
        cwd=ROOT,
        env={
            **os.environ,
            'OMP_NUM_THREADS': '1',
            'PYTHON': sys.executable,
            'PORT': str(free_port()),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _training(batch, data, work_dir):
    options = ['--data-root', data, '--work-dir', work_dir, '--cfg-options', *OPTIONS]
    options += [f'train_dataloader.batch_size={batch}']
    return 'configs/demo/pretrain_demo.py', *options


def _start(data, work_dir, **environment):
    config, *options = _training(8, data, work_dir)
    return _launch(config, *options, **environment)


def _weights(work_dir):
    return read_checkpoint(f'{work_dir}/iter_{STEPS}.pth')['state_dict']


@pytest.fixture(scope='module')
def two(demo_data, tmp_path_factory):
    """A run of two processes, 2 x 8 samples a step."""
    work_dir = tmp_path_factory.mktemp('two')
    run = _start(demo_data, work_dir)
    output, _ = run.communicate(timeout=250)
    assert run.returncode == 0, output[-3000:]
    return work_dir


def test_one_process_with_the_same_batch_learns_the_same(demo_data, two, tmp_path):
    run = run_here('tools/train.py', *_training(16, demo_data, tmp_path))
    assert run.returncode == 0, run.stderr[-3000:]
    ours = _weights(tmp_path)
    for name, weight in _weights(two).items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-3, atol=2e-5)


def test_a_killed_process_ends_all_and_they_go_on_exactly(demo_data, two, tmp_path):
    run = _start(demo_data, tmp_path, MAX_RESTARTS='1')
    deadline = time.monotonic() + 200
    while not (tmp_path / 'iter_2.pth').exists():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    kill_rank(1, tmp_path)
    output, _ = run.communicate(timeout=250)
    assert run.returncode == 0, output[-3000:]
    assert 'resumed epoch: 0, iter: ' in output
    ours = _weights(tmp_path)
    assert all(torch.equal(ours[name], weight) for name, weight in _weights(two).items())


def test_metrics_of_a_set_that_does_not_divide(demo_data, tmp_path):
    """Seven records on two processes: the eighth, a repetition, must not count."""
    options = {**SMALL, 'load_from': None}
    config = resolve(load_config('configs/demo/recognition_demo.py', options, str(demo_data)))
    config.test_dataloader.update(batch_size=2)
    config.test_dataloader.dataset.indices = 7
    model = MODELS.build(config.model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'weights.pth')
    config.dump(tmp_path / 'recognition.py')
    what = (tmp_path / 'recognition.py', tmp_path / 'weights.pth', '--work-dir')
    one = run_here('tools/test.py', *what, tmp_path / '1')
    assert one.returncode == 0, one.stderr[-3000:]
    two = _launch(*what, tmp_path / '2', tool='tools/dist_test.sh')
    output, _ = two.communicate(timeout=250)
    assert two.returncode == 0, output[-3000:]
    found = [json.loads((tmp_path / name / 'results.json').read_text()) for name in '12']
    assert found[0]['metrics'] == found[1]['metrics']
    assert found[0]['protocol']['rows'] == 7


def test_one_process_that_cannot_read_ends_all(demo_data, tmp_path):
    start = time.monotonic()
    run = _start(tmp_path / 'nothing', tmp_path)
    output, _ = run.communicate(timeout=250)
    assert run.returncode != 0 and time.monotonic() - start < 120
    assert 'no such file' in output


def test_sharded_over_two_processes_goes_on_exactly(small_config, tmp_path):
    """FSDP: weights and optimizer states in pieces, one whole checkpoint; trains as whole ones."""
    config = small_config(tmp_path, {'default_hooks.checkpoint.max_keep_ckpts': -1})
    config.dump(tmp_path / 'plain.py')
    config.runner_type, config.strategy = 'FlexibleRunner', dict(type='ShardedStrategy')
    config.dump(tmp_path / 'sharded.py')
    ends = []
    resume = ['--resume', tmp_path / 'whole/iter_2.pth']
    for name, file, more in (
        ('whole', 'sharded.py', []),
        ('resumed', 'sharded.py', resume),
        ('plain', 'plain.py', []),
    ):
        run = _launch(tmp_path / file, '--work-dir', tmp_path / name, *more)
        output, _ = run.communicate(timeout=250)
        assert run.returncode == 0, output[-3000:]
        ends.append(read_checkpoint(str(tmp_path / name / 'iter_4.pth')))
    assert ends[0]['state_dict'].keys() == ends[1]['state_dict'].keys()
    for key, weight in ends[0]['state_dict'].items():
        assert torch.equal(weight, ends[1]['state_dict'][key]), key
        torch.testing.assert_close(weight, ends[2]['state_dict'][key], atol=2e-4, rtol=1e-3)
    one = next(iter(ends[0]['optimizer']['state'].values()))
    assert not torch.equal(one['exp_avg'], one['exp_avg_sq'])
