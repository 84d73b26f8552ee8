"""Contract: two processes train as one, resume exactly, and end when one dies."""

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
from tests.one_launch import run_in_one_launch

STEPS = 12
SMALL = {
    'model.backbone.embed_dims': (8, 16, 24, 32),
    'model.backbone.num_heads': (1, 1, 1, 1),
}
# without dropout and the U-Net, whose BatchNorm normalises by the images of its process
OPTIONS = [
    'default_hooks.checkpoint.max_keep_ckpts=-1',
    f'train_cfg.max_iters={STEPS}',
    'model.backbone.embed_dims=(8,16,24,32)',
    'model.backbone.num_heads=(1,1,1,1)',
    'model.neck=None',
    'model.heads.mir=None',
    'model.backbone.token_dropout=0.0',
    'model.backbone.drop_path_rate=0.0',
]


def _training(batch, data, work_dir, saved_every=STEPS):
    options = ['--data-root', data, '--work-dir', work_dir, '--cfg-options', *OPTIONS]
    options += [f'train_dataloader.batch_size={batch}']
    options += [f'default_hooks.checkpoint.interval={saved_every}']
    return 'configs/demo/pretrain_demo.py', *options


def _start(data, work_dir, **environment):
    config, *options = _training(8, data, work_dir, saved_every=1)
    return subprocess.Popen(
        [str(word) for word in ('tools/dist_train.sh', config, 2, *options)],
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


def _weights(work_dir):
    return read_checkpoint(f'{work_dir}/iter_{STEPS}.pth')['state_dict']


@pytest.fixture(scope='module')
def runs(demo_data, small_config, tmp_path_factory):
    """Runs of two processes: ``two`` of 2 x 8 samples a step, ``recognised`` an evaluation.

    ``whole`` is sharded (FSDP), ``resumed`` the same from its second step on, in other processes,
    ``plain`` the same without shards.
    """
    root = tmp_path_factory.mktemp('runs')
    config = small_config(root, {'default_hooks.checkpoint.max_keep_ckpts': -1})
    config.dump(root / 'plain.py')
    config.runner_type, config.strategy = 'FlexibleRunner', dict(type='ShardedStrategy')
    config.dump(root / 'sharded.py')
    options = {**SMALL, 'load_from': None}
    config = resolve(load_config('configs/demo/recognition_demo.py', options, str(demo_data)))
    config.test_dataloader.update(batch_size=2)
    config.test_dataloader.dataset.indices = 7
    weights = MODELS.build(config.model).state_dict()
    torch.save(dict(state_dict=weights, meta={}), root / 'weights.pth')
    config.dump(root / 'recognition.py')

    def train(name, config, *more):
        return 'tools/train.py', root / config, '--work-dir', root / name, *more

    run_in_one_launch(
        ('tools/train.py', *_training(8, demo_data, root / 'two')), train('whole', 'sharded.py')
    )
    run_in_one_launch(
        train('resumed', 'sharded.py', '--resume', root / 'whole/iter_2.pth'),
        train('plain', 'plain.py'),
        _recognise(root, 'recognised'),
    )
    return root


def _recognise(root, name):
    words = (root / 'recognition.py', root / 'weights.pth', '--work-dir', root / name)
    return 'tools/test.py', *words


def test_one_process_with_the_same_batch_learns_the_same(demo_data, runs, tmp_path):
    run = run_here('tools/train.py', *_training(16, demo_data, tmp_path))
    assert run.returncode == 0, run.stderr[-3000:]
    ours = _weights(tmp_path)
    for name, weight in _weights(runs / 'two').items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-3, atol=2e-5)


def test_a_killed_process_ends_all_and_they_go_on_exactly(demo_data, runs, tmp_path):
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
    assert all(torch.equal(ours[name], weight) for name, weight in _weights(runs / 'two').items())


def test_metrics_of_a_set_that_does_not_divide(runs):
    """Seven records on two processes: the eighth, a duplicate, must not count."""
    alone = run_here(*_recognise(runs, 'alone'))
    assert alone.returncode == 0, alone.stderr[-3000:]
    results = [
        json.loads((runs / name / 'results.json').read_text()) for name in ('alone', 'recognised')
    ]
    assert results[0]['metrics'] == results[1]['metrics']
    assert results[0]['protocol']['rows'] == 7


def test_one_process_that_cannot_read_ends_all(demo_data, tmp_path):
    start = time.monotonic()
    run = _start(tmp_path / 'nothing', tmp_path)
    output, _ = run.communicate(timeout=250)
    assert run.returncode != 0 and time.monotonic() - start < 120
    assert 'no such file' in output


def test_sharded_over_two_processes_goes_on_exactly(runs):
    """FSDP: sharded weights and optimizer states, an unsharded checkpoint, equal training."""
    whole, resumed, plain = (
        read_checkpoint(str(runs / name / 'iter_4.pth')) for name in ('whole', 'resumed', 'plain')
    )
    assert whole['state_dict'].keys() == resumed['state_dict'].keys()
    for key, weight in whole['state_dict'].items():
        assert torch.equal(weight, resumed['state_dict'][key]), key
        torch.testing.assert_close(weight, plain['state_dict'][key], atol=2e-4, rtol=1e-3)
    moments = next(iter(whole['optimizer']['state'].values()))
    assert not torch.equal(moments['exp_avg'], moments['exp_avg_sq'])
