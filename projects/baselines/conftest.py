"""Fixtures of the baselines' tests."""

import time

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from PIL import Image

from mvlt.config import load_config
from mvlt.engine import resolve

SMALL = {
    'train_dataloader.batch_size': 6,
    'train_cfg.max_iters': 2,
    'param_scheduler.warmup.end': 1,
    'param_scheduler.decay.begin': 1,
    'default_hooks.checkpoint': None,
    'default_hooks.tokenizer.train_size': 200,
    'model.backbone.vocab_size': 200,
    'test_dataloader.dataset.split': 'all',
    'test_cfg.num_queries': 4,
    'test_cfg.num_candidates': 3,
}


def draw_noise(files):
    """Write images of noise, so that all patches differ."""
    for number, file in enumerate(files):
        noise = np.random.default_rng(number).integers(0, 255, (40, 30, 3), np.uint8)
        Image.fromarray(noise).save(file)


@pytest.fixture
def two_steps(catalogue, tmp_path):
    """Config of a row -> the model after two steps, and the metrics of a ranking."""
    draw_noise((catalogue / 'images').iterdir())

    def run(path, options=None, root=None):
        options = {**SMALL, **(options or {})} if root is None else options
        read = load_config(path, options, str(root or catalogue))
        config = resolve(read, work_dir=str(tmp_path / 'work'))
        config.experiment_name = f'baseline_{time.monotonic_ns()}'
        runner = Runner.from_cfg(config)
        before = [weight.detach().clone() for weight in runner.model.parameters()]
        runner.train()
        after = [weight.detach() for weight in runner.model.parameters()]
        assert all(weight.isfinite().all() for weight in after)
        moved = sum(not torch.equal(old, new) for old, new in zip(before, after))
        assert moved > len(after) / 2
        metrics = runner.test()
        return runner.model, metrics

    return run
