"""Contract: a skipped step does not change averages, momentum copy and queue."""

import pytest
import torch

from mvlt.engine.launch import build_runner


def _runner(small_config, tmp_path, **options):
    config = small_config(tmp_path, options, steps=3)
    config.model.heads.itc = dict(type='ITCHead', dims=8, queue=20, momentum=0.5)
    config.default_hooks.momentum = dict(type='MomentumHook')
    config.default_hooks.average = dict(type='WeightAverageHook', momentum=0.5)
    return config


def test_a_skipped_step_moves_nothing(small_config, tmp_path, monkeypatch):
    """The loss of the second of three steps is NaN."""
    config = _runner(small_config, tmp_path)
    config.train_cfg.on_nonfinite = 'skip'
    runner = build_runner(config)
    itc, seen = runner.model.heads.itc, []
    real = type(itc).loss

    def loss(self, features, batch):
        seen.append([value.clone() for value in (self.followers.image.weight, self.queued)])
        losses = real(self, features, batch)
        return dict(loss=losses['loss'] * (float('nan') if len(seen) == 2 else 1))

    monkeypatch.setattr(type(itc), 'loss', loss)
    runner.train()
    assert [int(queued) for _, queued in seen] == [0, 8, 8] and int(itc.queued) == 16
    assert not torch.equal(seen[0][0], seen[1][0]) and torch.equal(seen[1][0], seen[2][0])
    average = next(hook for hook in runner._hooks if type(hook).__name__ == 'WeightAverageHook')
    assert int(average.ema_model.steps) == 2


def test_a_hook_without_a_queue(small_config, tmp_path):
    config = _runner(small_config, tmp_path)
    config.model.heads.itc.queue = 0
    with pytest.raises(ValueError, match=r'set model\.heads\.itc\.queue, or'):
        build_runner(config).train()


def test_with_async_metrics_no_nan_embedding_is_queued(small_config, tmp_path, monkeypatch):
    """As on a GPU: the step is over before its NaN is read."""
    config = _runner(small_config, tmp_path)
    config.train_cfg.update(on_nonfinite='skip', async_metrics=True)
    config.optim_wrapper.optimizer.fused = True
    runner = build_runner(config)
    itc, calls = runner.model.heads.itc, []
    real, its_loss = type(itc)._momentum_embeds, type(itc).loss

    def followed(self, features):
        images, texts = real(self, features)
        calls.append(None)
        return images * (float('nan') if len(calls) == 2 else 1), texts

    def loss(self, features, batch):
        losses = its_loss(self, features, batch)
        return dict(loss=losses['loss'] * (float('nan') if len(calls) == 2 else 1))

    monkeypatch.setattr(type(itc), '_momentum_embeds', followed)
    monkeypatch.setattr(type(itc), 'loss', loss)
    runner.train()
    assert itc.queued_images.isfinite().all() and int(itc.queued) == 24
    assert len(list((tmp_path / 'nonfinite').iterdir())) == 1
