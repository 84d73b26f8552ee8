"""A small shop's table, and small recipes that train on it."""

import csv
import json
from pathlib import Path

from mvlt.config import load_config
from tests.commands import run_here

TINY = {
    'model.backbone.embed_dims': (8, 16, 24, 32),
    'model.backbone.num_heads': (1, 1, 1, 1),
    'model.backbone.depths': (1, 1, 1, 1),
    'model.backbone.image_size': 32,
    'model.backbone.vocab_size': 200,
    'default_hooks.tokenizer.train_size': 200,
    'train_dataloader.batch_size': 4,
    'train_cfg.max_iters': 5,
    'param_scheduler.warmup.end': 2,
    'param_scheduler.decay.begin': 2,
    'default_hooks.checkpoint.interval': 5,
    'default_hooks.logger.interval': 1,
    'train_dataloader.dataset.pipeline.resize.scale': (32, 32),
    'test_dataloader.dataset.pipeline.resize.scale': (32, 32),
    'load_from': None,
}


def write_table(root, rows):
    with open(root / 'products.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def read_table(root):
    with open(root / 'products.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def small_recipe(root, options=None, name='mvlt/recognition_catalogue'):
    return load_config(name, {**TINY, **(options or {})}, str(root))


def to_options(options):
    return [f'{key}={value}' for key, value in options.items()]


def train(config, work_dir, *more, options=None):
    done = run_here(
        *('tools/train.py', config, '--work-dir', work_dir, *more),
        *(['--cfg-options', *to_options(options)] if options else []),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def read_losses(work_dir):
    lines = [
        json.loads(line)
        for file in sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
        for line in file.read_text().splitlines()
    ]
    return [line['loss'] for line in lines if 'loss' in line]
