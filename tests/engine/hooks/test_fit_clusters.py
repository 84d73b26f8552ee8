"""Contract: clusters are fitted once, equal for a seed, and resumed with the weights."""

import pytest
import torch

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.engine.launch import build_runner


def _run(small_config, work_dir, steps=2, resume=False, **head):
    config = small_config(work_dir, {'train_dataloader.batch_size': 4}, steps=steps)
    config.model.heads.mir = dict(
        type='MaskedClusterHead',
        targets=dict(type='HOGTargets', stride=8),
        **{'num_clusters': 6, **head},
    )
    config.default_hooks.fit_clusters = dict(type='FitClustersHook', images=10)
    config.resume = resume
    runner = build_runner(config)
    runner.train()
    return runner


def _centroids(path):
    return read_checkpoint(str(path))['state_dict']['heads.mir.centroids']


def test_fitted_once_and_the_same(small_config, tmp_path):
    first, again = (_run(small_config, tmp_path / name) for name in 'ab')
    head = first.model.heads.mir
    assert head.is_fitted and len(head.centroids.unique(dim=0)) == 6
    assert torch.equal(head.centroids, again.model.heads.mir.centroids)
    kept = _centroids(tmp_path / 'a/iter_2.pth')
    assert torch.equal(kept, head.centroids)
    resumed = _run(small_config, tmp_path / 'a', steps=3, resume=True)
    assert torch.equal(resumed.model.heads.mir.centroids, kept)


def test_what_cannot_be_fitted(small_config, tmp_path):
    with pytest.raises(ValueError, match=r'different patches in 10 .*num_clusters=5000'):
        _run(small_config, tmp_path / 'few', num_clusters=5000)
    config = small_config(tmp_path / 'pixels', steps=2)
    config.default_hooks.fit_clusters = dict(type='FitClustersHook')
    with pytest.raises(ValueError, match='is a MaskedClusterHead'):
        build_runner(config).train()
