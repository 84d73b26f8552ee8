"""Contract: a whole checkpoint exists at every moment; a failed write loses nothing."""

import os

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.engine import WholeCheckpointHook
from mvlt.engine.hooks.checkpoint import newest_checkpoint
from mvlt.files import WholeFileBackend


def _checkpoints(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith('.pth'))


def _train(config):
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def test_the_newest_are_kept(small_config, tmp_path):
    _train(small_config(tmp_path, {'default_hooks.checkpoint.max_keep_ckpts': 2}))
    assert _checkpoints(tmp_path) == ['iter_3.pth', 'iter_4.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_4.pth')


def test_older_ones_go_only_after_the_new_one_has_been_read(small_config, tmp_path, monkeypatch):
    present = []
    put = WholeFileBackend.put

    def watched(self, content, path):
        put(self, content, path)
        if str(path).endswith('.pth'):
            present.append(_checkpoints(tmp_path))

    monkeypatch.setattr(WholeFileBackend, 'put', watched)
    _train(small_config(tmp_path, {'default_hooks.checkpoint.max_keep_ckpts': 1}, 3))
    assert present == [
        ['iter_1.pth'],
        ['iter_1.pth', 'iter_2.pth'],
        ['iter_2.pth', 'iter_3.pth'],
    ]
    assert _checkpoints(tmp_path) == ['iter_3.pth']


def _fill_disk(monkeypatch, at):
    put = WholeFileBackend.put

    def full(self, content, path):
        if at in str(path):
            raise OSError(28, 'No space left on device')
        put(self, content, path)

    monkeypatch.setattr(WholeFileBackend, 'put', full)


def test_full_disk_stops_with_a_line(small_config, tmp_path, monkeypatch):
    _fill_disk(monkeypatch, 'iter_2')
    with pytest.raises(OSError, match=r'iter_2.*No space left.*is .*iter_1.pth.*--resume'):
        _train(small_config(tmp_path, {'default_hooks.checkpoint.max_keep_ckpts': 1}))
    assert _checkpoints(tmp_path) == ['iter_1.pth']
    assert newest_checkpoint(tmp_path) == str(tmp_path / 'iter_1.pth')


def test_full_disk_and_on(small_config, tmp_path, monkeypatch):
    _fill_disk(monkeypatch, 'iter_2')
    config = small_config(tmp_path, {'default_hooks.checkpoint.max_keep_ckpts': 1})
    config.default_hooks.checkpoint.on_failure = 'continue'
    _train(config)
    assert _checkpoints(tmp_path) == ['iter_4.pth']


def test_best_goes_after_the_new_best_is_there(small_config, tmp_path, monkeypatch):
    """The first and the third of three evaluations are the best so far; then the disk is full."""
    config = small_config(tmp_path, {'default_hooks.checkpoint.max_keep_ckpts': 1})
    config.default_hooks.checkpoint.update(save_best='score', rule='greater')
    runner = Runner.from_cfg(config)
    hook = next(item for item in runner._hooks if isinstance(item, WholeCheckpointHook))
    scores = {1: 0.2, 2: 0.1, 3: 0.5}

    class Evaluate(Hook):
        priority = 'LOWEST'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter + 1 in scores:
                hook.after_val_epoch(runner, dict(score=scores[runner.iter + 1]))

    runner.register_hook(Evaluate())
    _fill_disk(monkeypatch, 'best_score_iter_2')
    with pytest.raises(OSError, match='the best checkpoint could not be written'):
        runner.train()
    assert 'best_score_iter_0.pth' in _checkpoints(tmp_path)


def test_partial_files_of_a_killed_run_are_deleted(small_config, tmp_path):
    (tmp_path / '.iter_9.pth.123.partial').write_bytes(b'half')
    _train(small_config(tmp_path, steps=2))
    assert not list(tmp_path.glob('.*.partial'))


def test_another_number_of_processes_is_logged(small_config, tmp_path):
    _train(small_config(tmp_path, steps=2))
    path = tmp_path / 'iter_2.pth'
    checkpoint = read_checkpoint(str(path))
    assert checkpoint['processes'] == [dict(steps=2, gradients={})]
    torch.save({**checkpoint, 'processes': checkpoint['processes'] * 2}, path)
    config = small_config(tmp_path, steps=3)
    config.resume, config.load_from = True, str(path)
    _train(config)
    log = ''.join(file.read_text() for file in tmp_path.glob('*/*.log'))
    assert '2 processes saved this checkpoint, 1 resume it' in log


def test_legal_values():
    with pytest.raises(ValueError, match="'stop', 'continue'"):
        WholeCheckpointHook(on_failure='ignore')


def test_a_best_of_the_same_name_stays(small_config, tmp_path):
    """With by_epoch, a training in steps names every best checkpoint epoch_0."""
    config = small_config(tmp_path, steps=2)
    config.default_hooks.checkpoint.update(save_best='score', rule='greater', by_epoch=True)
    runner = Runner.from_cfg(config)
    hook = next(item for item in runner._hooks if isinstance(item, WholeCheckpointHook))
    runner.train()
    for score in (0.1, 0.2):
        hook.after_val_epoch(runner, dict(score=score))
    assert 'best_score_epoch_0.pth' in _checkpoints(tmp_path)


def test_a_failed_best_leaves_the_previous_one_the_best(small_config, tmp_path, monkeypatch):
    config = small_config(tmp_path, steps=2)
    config.default_hooks.checkpoint.update(save_best='score', rule='greater', on_failure='continue')
    runner = Runner.from_cfg(config)
    hook = next(item for item in runner._hooks if isinstance(item, WholeCheckpointHook))
    runner.train()
    hook.after_val_epoch(runner, dict(score=0.1))
    first = hook.best_ckpt_path
    runner.train_loop._iter += 1
    with monkeypatch.context() as full:
        _fill_disk(full, 'best_')
        hook.after_val_epoch(runner, dict(score=0.5))
    assert runner.message_hub.get_info('best_score') == 0.1
    assert hook.best_ckpt_path == first and os.path.exists(first)
    hook.after_val_epoch(runner, dict(score=0.3))
    assert hook.best_ckpt_path != first and not os.path.exists(first)
