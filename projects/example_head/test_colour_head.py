"""Contract: a config alone trains and evaluates a head from outside."""

import csv

import numpy as np
import torch
from PIL import Image

from mvlt.config import load_config
from mvlt.engine.launch import build_runner
from projects.example_head.colour_head import ColourHead

COLOURS = {'Red': (220, 20, 20), 'Blue': (20, 20, 220)}


def _shop(root):
    (root / 'images').mkdir()
    with open(root / 'products.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['id', 'image', 'productDisplayName', 'subCategory', 'baseColour'])
        for i in range(60):
            name = list(COLOURS)[i % 2]
            Image.new('RGB', (32, 32), COLOURS[name]).save(root / f'images/{i}.png')
            writer.writerow([i, f'images/{i}.png', f'thing {i}', 'Shoes', name])
    return root


def test_it_learns_colours_from_the_image_alone(tmp_path, monkeypatch):
    config = load_config(
        'projects/example_head/colour_catalogue.py',
        {
            'train_cfg.max_iters': 25,
            'train_dataloader.batch_size': 16,
            'param_scheduler.warmup.end': 2,
            'param_scheduler.decay.begin': 2,
        },
        str(_shop(tmp_path)),
    )
    config.work_dir = str(tmp_path / 'work')
    runner = build_runner(config)
    monkeypatch.setattr(runner.model.backbone, 'encode_pair', None)
    monkeypatch.setattr(runner.model.backbone, 'encode_text', None)
    assert [type(head) for head in runner.model.heads.values()] == [ColourHead]
    runner.train()
    assert runner.test()['colour/accuracy'] == 100


def test_the_mean_of_the_map_decides():
    head = ColourHead(2, 3, 'colour')
    image = torch.randn(2, 2, 4, 4)
    expected = image.mean((2, 3)) @ head.classifier.weight.T + head.classifier.bias
    np.testing.assert_allclose(head(image).detach(), expected.detach(), atol=1e-6)
