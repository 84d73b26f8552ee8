"""Contract: an infinite or NaN loss never reaches the weights, and its samples are recorded."""

import json

import pytest
import torch
from mmengine.runner import Runner

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.engine.loops.train import NonFiniteLossError
from mvlt.models import MVLT


@pytest.fixture
def broken_steps(monkeypatch):
    """Indices of loss calls, from 0, whose matching loss is NaN."""
    broken, calls = set(), []
    loss = MVLT.loss

    def sometimes(self, *args):
        losses = loss(self, *args)
        if len(calls) in broken:
            losses['loss_itm'] = losses['loss_itm'] * float('nan')
        calls.append(None)
        return losses

    monkeypatch.setattr(MVLT, 'loss', sometimes)
    return broken


def test_stop_names_the_samples_and_keeps_the_weights(small_config, tmp_path, broken_steps):
    broken_steps.add(2)
    runner = Runner.from_cfg(small_config(tmp_path))
    with pytest.raises(NonFiniteLossError, match='step 2: .*loss_itm.*on_nonfinite'):
        runner.train()
    report = json.loads((tmp_path / 'nonfinite/step_2_rank_0.json').read_text())
    assert len(report['samples']) == 8
    assert all(
        {'product_id', 'caption', 'sample_idx'} <= sample.keys() for sample in report['samples']
    )
    saved = read_checkpoint(str(tmp_path / 'iter_2.pth'))['state_dict']
    assert all(
        torch.equal(saved[name], weight)
        for name, weight in runner.model.state_dict().items()
        if 'running' not in name and 'num_batches' not in name
    )


def test_skip_leaves_the_step_out(small_config, tmp_path, broken_steps):
    broken_steps.add(1)
    config = small_config(tmp_path, {'default_hooks.checkpoint.max_keep_ckpts': -1})
    config.train_cfg.on_nonfinite = 'skip'
    Runner.from_cfg(config).train()
    before, after, later = (
        read_checkpoint(str(tmp_path / f'iter_{step}.pth'))['state_dict']['heads.mlm.bias']
        for step in (1, 2, 3)
    )
    assert torch.equal(before, after) and not torch.equal(after, later)


def test_async_metrics_keep_the_weights(small_config, tmp_path, broken_steps):
    """As on a GPU: the optimizer skips the step, the run notices a step later."""
    broken_steps.add(1)
    config = small_config(tmp_path, {'default_hooks.checkpoint.max_keep_ckpts': -1})
    config.train_cfg.update(async_metrics=True, on_nonfinite='skip')
    config.optim_wrapper.optimizer.fused = True
    Runner.from_cfg(config).train()
    before, after, later = (
        read_checkpoint(str(tmp_path / f'iter_{step}.pth'))['state_dict']['heads.mlm.bias']
        for step in (1, 2, 3)
    )
    assert torch.equal(before, after) and not torch.equal(after, later)
    assert (tmp_path / 'nonfinite/step_1_rank_0.json').exists()


def test_async_metrics_stop_for_the_last_step_too(small_config, tmp_path, broken_steps):
    config = small_config(tmp_path)
    config.train_cfg.async_metrics, config.optim_wrapper.optimizer.fused = True, False
    with pytest.raises(ValueError, match='async_metrics needs .*fused=True'):
        Runner.from_cfg(config).train()
    config.optim_wrapper.optimizer.fused = True
    broken_steps.add(config.train_cfg.max_iters - 1)
    with pytest.raises(NonFiniteLossError, match=f'step {config.train_cfg.max_iters - 1}: '):
        Runner.from_cfg(config).train()


def test_async_metrics_train_the_same(small_config, tmp_path):
    states = []
    for later in (False, True):
        config = small_config(tmp_path / str(later))
        config.optim_wrapper.optimizer.fused = True
        config.train_cfg.async_metrics = later
        runner = Runner.from_cfg(config)
        runner.train()
        states.append(runner.model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_skip_is_bounded(small_config, tmp_path, broken_steps):
    broken_steps.update((0, 1, 2))
    config = small_config(tmp_path)
    config.train_cfg.update(on_nonfinite='skip', max_nonfinite=2)
    with pytest.raises(NonFiniteLossError, match=r'step 2: .*3 steps, train_cfg.max_nonfinite=2'):
        Runner.from_cfg(config).train()


def test_legal_values(small_config, tmp_path):
    config = small_config(tmp_path)
    config.train_cfg.on_nonfinite = 'ignore'
    with pytest.raises(ValueError, match="'stop', 'skip'"):
        Runner.from_cfg(config).train()
