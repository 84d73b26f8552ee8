"""Contract: a stopped training loses nothing; its time is estimated early."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

from mvlt.engine import FirstStepsHook, StopHook
from mvlt.engine.hooks.checkpoint import newest_checkpoint
from mvlt.engine.hooks.stopping import TrainingStopped
from mvlt.engine.launch import build_runner
from mvlt.registry import HOOKS
from tests.commands import ROOT


@HOOKS.register_module(force=True)
class TellAt(StopHook):
    """Sends a signal to its own process in a step."""

    priority = 'NORMAL'
    step = 2

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Send it."""
        if runner.iter == self.step:
            os.kill(os.getpid(), signal.SIGTERM)

    def before_train(self, runner):
        """It does not listen."""

    after_train = before_train


@pytest.mark.parametrize('by_epoch', [False, True])
def test_a_stopped_training_equals_the_uninterrupted_one(small_config, tmp_path, by_epoch):
    """Between two checkpoints, within an epoch, with accumulated gradients."""

    def config(name, told):
        options = {
            'default_hooks.checkpoint.interval': 100,
            'optim_wrapper.accumulative_counts': 2,
        }
        settings = small_config(tmp_path / name, options, steps=6)
        settings.default_hooks.checkpoint.max_keep_ckpts = 1
        if by_epoch:
            settings.train_cfg = dict(type='mvlt.EpochTrainLoop', max_epochs=1)
            settings.train_dataloader.sampler = dict(type='mvlt.EpochSampler', shuffle=True)
            settings.train_dataloader.dataset.dataset.indices = 48
            settings.param_scheduler = []
            settings.default_hooks.checkpoint.update(by_epoch=True, interval=1)
        if told:
            settings.custom_hooks = [dict(type='TellAt')]
        return settings

    build_runner(config('whole', False)).train()
    with pytest.raises(TrainingStopped, match=r'iter_3\.pth is written; .* --resume') as stopped:
        build_runner(config('told', True)).train()
    assert stopped.value.signal == signal.SIGTERM
    checkpoint = newest_checkpoint(tmp_path / 'told')
    assert checkpoint.endswith('iter_3.pth')
    build_runner(config('told', False), resume=checkpoint).train()
    ends = [
        torch.load(newest_checkpoint(tmp_path / name), weights_only=False)['state_dict']
        for name in ('whole', 'told')
    ]
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_ctrl_c_in_a_terminal(small_config, tmp_path):
    """A real process with data workers, which all get the terminal's signal."""
    config = small_config(tmp_path / 'work', {'default_hooks.checkpoint.interval': 1000}, 500)
    config.train_dataloader.num_workers = 1
    config.dump(tmp_path / 'config.py')
    run = subprocess.Popen(
        [sys.executable, 'tools/train.py', str(tmp_path / 'config.py')],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    lines = []
    for line in run.stdout:
        lines.append(line)
        if 'Iter(train)' in line or 's a step so far' in line:
            time.sleep(0.3)
            os.killpg(run.pid, signal.SIGINT)
            break
    rest, _ = run.communicate(timeout=120)
    output = ''.join(lines) + rest
    assert run.returncode == 130, output[-3000:]
    assert 'Traceback' not in output and output.count('stopping after this step') == 1
    (step,) = re.findall(r'stopped: .*iter_(\d+)\.pth is written', output)
    assert (tmp_path / f'work/iter_{step}.pth').is_file()


def test_the_first_estimate_comes_early(small_config, tmp_path, caplog):
    config = small_config(tmp_path, {'default_hooks.logger.interval': 1000}, steps=4)
    config.default_hooks.first_steps = dict(type='FirstStepsHook', after=0.0)
    build_runner(config).train()
    (log,) = tmp_path.rglob('*.log')
    lines = re.findall(r'step 2 of 4: [\d.]+ s a step so far, \d+ s left', log.read_text())
    assert len(lines) == 1  # and no more
    assert FirstStepsHook().after < 10
