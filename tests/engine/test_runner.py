"""Contract: a config's ``compile`` reaches the model's parts; SyncBN is for GPUs."""

from mvlt.engine import QuietRunner, resolve
from mvlt.models import MVLT


def test_compile_is_a_key_of_the_config(small_config, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(MVLT, 'compile_parts', lambda self, **settings: calls.append(settings))
    for setting, expected in ((dict(backend='inductor'), [dict(backend='inductor')]), (False, [])):
        config = small_config(tmp_path / str(len(expected)))
        config.compile = setting
        calls.clear()
        QuietRunner.from_cfg(config).train()
        assert calls == expected


def test_sync_bn_is_left_out_without_a_gpu(small_config, tmp_path):
    config = small_config(tmp_path)
    config.sync_bn = 'torch'
    alone, many = resolve(config), resolve(config, launcher='pytorch')
    assert alone.sync_bn is None and many.sync_bn is None
    assert not any(line.startswith('sync_bn') for line in alone.resolved)
    assert any(line.startswith('sync_bn: none') for line in many.resolved)
