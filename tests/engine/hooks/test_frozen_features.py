"""Contract: training reads the encoder's features of augmented views; the cache is reused."""

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.datasets import FashionGen
from mvlt.engine.launch import build_runner
from tests.faults.runs import difference

RESNET = dict(
    type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=(0, 1, 2, 3)
)
BACKBONE = dict(
    type='DualEncoder',
    image_encoder=dict(type='ImageBackbone', backbone=RESNET, pooled=True, image_size=64),
    text_encoder=dict(
        type='TextTransformer', context_length=64, embed_dims=16, depth=1, num_heads=2
    ),
    standardise=True,
    vocab_size=1000,
)


@pytest.fixture
def dual(small_config, tmp_path):
    """(work_dir, steps) -> a small training on cached features."""

    def config(name='run', steps=4, **hook):
        config = small_config(tmp_path / name, steps=steps)
        config.model.backbone, config.model.neck = BACKBONE, None
        config.model.heads = dict(itc=dict(type='ITCHead', dims=8))
        dataset = config.train_dataloader.dataset.dataset
        dataset.indices, dataset.pipeline.mask, dataset.pipeline.words = 16, None, None
        dataset.pipeline.flip = dict(type='RandomFlip', prob=1.0)
        config.train_dataloader.dataset = dataset
        features = dict(type='FrozenFeaturesHook', folder=str(tmp_path / 'features'), **hook)
        config.default_hooks.features = features
        config.val_cfg = config.val_dataloader = config.val_evaluator = None
        return config

    return config


def test_a_step_reads_features_of_plain_and_flipped_views(dual, tmp_path):
    runner = build_runner(dual(views=3))
    seen = []
    runner.model.backbone.image_encoder.register_forward_hook(lambda *_: seen.append(1))
    runner.train()
    assert len(seen) == 1  # 16 images x 3 views, in one block; no step
    dataset = runner.train_loop.dataloader.dataset
    encoder = runner.model.backbone.image_encoder.eval()
    record = dataset.load(dataset.get_data_info(5))
    flipped = dataset.pipeline.of_images()(dict(record))['img']
    pixels = torch.from_numpy(np.stack([flipped[:, ::-1], flipped]).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        plain, mirror = encoder(runner.model.data_preprocessor.normalise(pixels)).numpy()
    views = [dataset.features.cache.get(dataset.features.keys[5], view) for view in range(3)]
    np.testing.assert_allclose(views, [plain, mirror, mirror], atol=2e-3)  # float16 on the disk
    assert np.abs(plain - mirror).max() > 0.01
    assert dataset[5]['inputs']['image'].shape == (120,)


def test_the_cache_is_reused(dual, tmp_path):
    build_runner(dual('first', views=2)).train()
    (folder,) = (tmp_path / 'features').iterdir()
    before = {path: path.stat().st_size for path in folder.iterdir()}
    build_runner(dual('second', views=2)).train()
    assert {path: path.stat().st_size for path in folder.iterdir()} == before
    build_runner(dual('views', views=1)).train()
    assert len(list((tmp_path / 'features').iterdir())) == 2
    config = dual('statistics', views=1)
    config.model.backbone.image_encoder.statistics = ['max']  # as many values as the means
    build_runner(config).train()
    assert len(list((tmp_path / 'features').iterdir())) == 3


def test_a_resumed_run_equals_the_uninterrupted(dual, tmp_path):
    config = dual('whole', steps=4, views=2)
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    Runner.from_cfg(config).train()
    resumed = dual('resumed', steps=4, views=2)
    resumed.resume, resumed.load_from = True, str(tmp_path / 'whole' / 'iter_2.pth')
    Runner.from_cfg(resumed).train()
    whole, again = (
        read_checkpoint(str(tmp_path / name / 'iter_4.pth')) for name in ('whole', 'resumed')
    )
    assert not difference(whole['state_dict'], again['state_dict'])


def test_an_unreadable_image_is_replaced_and_counted(dual, monkeypatch):
    """As without a cache: the record is skipped, another one takes its place."""
    config = dual(views=1)
    config.train_dataloader.dataset.on_error = 'skip'
    config.default_hooks.skipped_records.max_share = 1.0
    load = FashionGen.load

    def broken(self, record):
        if record['sample_idx'] == 5:
            raise OSError('cut short')
        return load(self, record)

    monkeypatch.setattr(FashionGen, 'load', broken)
    runner = build_runner(config)
    runner.train()
    dataset = runner.train_loop.dataloader.dataset
    with pytest.raises(OSError, match='row 5: no features'):
        dataset.features(5)
    (skipped,) = dataset[5]['data_samples'].skipped
    assert skipped[0] == 5
    assert dataset.features(6).shape == (120,)


def test_what_cannot_be_cached_is_refused(dual):
    config = dual(views=2)
    config.model.backbone = dict(
        BACKBONE, image_encoder=dict(BACKBONE['image_encoder'], trainable=('layer4',))
    )
    with pytest.raises(ValueError, match='trainable=False'):
        build_runner(config).train()
    config = dual(views=2)
    config.train_dataloader.num_workers = 1
    with pytest.raises(ValueError, match='num_workers=0'):
        build_runner(config).train()
    with pytest.raises(ValueError, match='raise it, or lower views'):
        build_runner(dual(views=2, max_gigabytes=1e-6)).train()
    with pytest.raises(ValueError, match='views=0'):
        build_runner(dual(views=0))
