"""Small real files that the tests share: a tokenizer, Fashion-Gen splits, a catalogue."""

import csv
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from PIL import Image

from mvlt.config import load_config
from mvlt.datasets import FashionGen, train_tokenizer
from mvlt.engine import resolve
from mvlt.tools.dataset_converters.make_demo_data import draw_products, write_fashion_gen
from tests.small_model import write_small_model

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded():
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def demo_data(tmp_path_factory) -> Path:
    """A folder as the demo makes it: 2 + 9 products a cut, 2 views, 32 px, and a tokenizer."""
    root = tmp_path_factory.mktemp('demo')
    train, validation = draw_products(2, seed=0), draw_products(9, seed=1, first_id=1000)
    for name, products in dict(train=train, validation=validation).items():
        list(write_fashion_gen(root / f'fashiongen_64_64_{name}.h5', products, views=2, side=32))
    captions = [f'{p.name}. {p.description}' for p in (*train, *validation)]
    train_tokenizer(captions, root / 'tokenizer', 400)
    return root


@pytest.fixture(scope='session')
def model_folder(demo_data, tmp_path_factory) -> Path:
    """A published model with every head, narrow and at random, 32 px."""
    out = tmp_path_factory.mktemp('published') / 'model'
    return write_small_model(out, demo_data / 'tokenizer')


@pytest.fixture(scope='session')
def embedding_folder(demo_data, tmp_path_factory) -> Path:
    """The same with a head ``itc``."""
    out = tmp_path_factory.mktemp('published') / 'itc'
    return write_small_model(out, demo_data / 'tokenizer', itc=True)


@pytest.fixture(scope='session')
def dual_folder(demo_data, tmp_path_factory) -> Path:
    """A published dual encoder: mmpretrain's ResNet beside a transformer over tokens."""
    out = tmp_path_factory.mktemp('published') / 'dual'
    return write_small_model(out, demo_data / 'tokenizer', dual=True)


@pytest.fixture
def masked_products(demo_data):
    """The demo's training products, a quarter of each image hidden."""
    pipeline = [
        dict(type='LoadImage'),
        dict(type='RandomGridMask', ratio=0.25, alpha=2),
        dict(type='Tokenize', tokenizer=str(demo_data / 'tokenizer')),
        dict(type='PackPairInputs'),
    ]
    with DefaultScope.overwrite_default_scope('mvlt'):
        return FashionGen(ann_file=str(demo_data / 'fashiongen_64_64_train.h5'), pipeline=pipeline)


@pytest.fixture
def catalogue(tmp_path) -> Path:
    """20 products of two main and four sub-categories in a CSV, 40 x 30 images."""
    (tmp_path / 'images').mkdir()
    rows = []
    for i in range(20):
        Image.new('RGB', (40, 30), (12 * i, 0, 255 - 12 * i)).save(tmp_path / f'images/{i}.png')
        rows.append(
            dict(
                id=str(i),
                image=f'images/{i}.png',
                title=f'Thing number {i}',
                colour='NA' if i == 3 else 'Red',
                kind='Shoes' if i % 2 else 'Bags',
                sub=f'{"Shoes" if i % 2 else "Bags"} {i % 4 // 2}',
            )
        )
    with open(tmp_path / 'products.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


@pytest.fixture(scope='session')
def small_config(demo_data):
    """(work_dir, options, steps) -> the demo's pre-training, tiny, saving after every step."""

    def config(work_dir, options=None, steps=4):
        config = load_config(
            'configs/demo/pretrain_demo.py',
            {
                'train_dataloader.batch_size': 8,
                'default_hooks.checkpoint.interval': 1,
                'model.backbone.embed_dims': (8, 16, 24, 32),
                'model.backbone.num_heads': (1, 1, 1, 1),
                'model.backbone.depths': (1, 1, 1, 1),
                'model.neck.channels': None,
                'default_hooks.pictures': None,
                'train_cfg.max_iters': steps,
                'param_scheduler.warmup.end': steps // 2,
                'param_scheduler.decay.begin': steps // 2,
                **(options or {}),
            },
            str(demo_data),
        )
        config = resolve(config, work_dir=str(work_dir))
        config.experiment_name = f'{work_dir.name}_{time.monotonic_ns()}'
        return config

    return config
