"""Contract: images are drawn at the interval and do not affect the training."""

import json
from pathlib import Path

import pytest
from mmengine.visualization import TensorboardVisBackend

from mvlt.config import load_config
from mvlt.engine import PicturesHook
from mvlt.engine.launch import build_runner


def _train(demo_data, work_dir, hook=None, backends=(), validate=True, name='pretrain_demo'):
    config = load_config(
        f'configs/demo/{name}.py',
        {'train_cfg.max_iters': 4, 'val_dataloader.dataset.val_share': 0.5},
        data_root=str(demo_data),
    )
    config.model.backbone.update(image_size=32, embed_dims=(8, 16, 24, 32), num_heads=(1, 1, 1, 1))
    config.model.neck.channels = None
    for loader in (config.train_dataloader, config.test_dataloader):
        dataset = loader.dataset.get('dataset', loader.dataset)
        for transform in filter(None, dataset.pipeline.values()):
            if 'scale' in transform:
                transform.scale = (32, 32)
    config.test_dataloader.dataset.ann_file = 'none.h5'  # nothing of it is read while training
    config.train_dataloader.batch_size = 4
    if 'batch_size' in config.train_dataloader.sampler:
        config.train_dataloader.sampler.update(batch_size=4, group=2)
    config.default_hooks.logger.interval = 1
    config.default_hooks.pop('pictures', None)
    if hook:
        config.default_hooks.pictures = hook
    config.visualizer.vis_backends.extend(backends)
    if not validate:
        config.val_cfg = config.val_dataloader = config.val_evaluator = None
    config.work_dir = str(work_dir)
    config.experiment_name = Path(work_dir).name
    build_runner(config).train()
    (scalars,) = Path(work_dir).glob('*/vis_data/scalars.json')
    lines = map(json.loads, scalars.read_text().splitlines())
    return [line['loss'] for line in lines if 'loss' in line]


def test_images_are_drawn_and_training_is_not_affected(demo_data, tmp_path):
    plain = _train(demo_data, tmp_path / 'plain')
    hook = dict(type=PicturesHook, interval=2, products=3)
    losses = _train(
        demo_data, tmp_path / 'drawn', hook, backends=[dict(type=TensorboardVisBackend)]
    )
    assert losses == plain and len(plain) == 4
    folders = sorted((tmp_path / 'drawn/pictures').iterdir())
    assert [folder.name for folder in folders] == ['0000002', '0000004']
    for folder in folders:
        names = sorted(path.name for path in folder.iterdir())
        assert names == ['ranking.png', 'reconstruction.png']
    (events,) = (tmp_path / 'drawn').rglob('events.out.tfevents.*')
    assert b'images_ranking' in events.read_bytes()


def test_a_model_with_embeddings_ranks_its_images(demo_data, tmp_path):
    hook = dict(type=PicturesHook, interval=4, products=3)
    _train(demo_data, tmp_path, hook, name='shop_demo_scratch')
    assert (tmp_path / 'pictures/0000004/ranking.png').is_file()


def test_without_data_to_draw_there_is_a_warning(demo_data, tmp_path):
    hook = dict(type=PicturesHook, interval=2)
    plain = _train(demo_data, tmp_path / 'plain')
    losses = _train(demo_data, tmp_path / 'drawn', hook, validate=False)
    assert losses == plain and not (tmp_path / 'drawn/pictures').exists()
    (log,) = (tmp_path / 'drawn').glob('*/*.log')
    assert 'PicturesHook draws nothing' in log.read_text()


def test_wrong_interval():
    with pytest.raises(ValueError, match='interval=0'):
        PicturesHook(interval=0)
