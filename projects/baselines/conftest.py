"""What the families' tests share."""

import time

import numpy as np
import pytest
from mmengine.runner import Runner
from PIL import Image

from mvlt.config import load_config

SMALL = {
    'train_dataloader.batch_size': 6,
    'train_cfg.max_iters': 2,
    'param_scheduler.warmup.end': 1,
    'param_scheduler.decay.begin': 1,
    'default_hooks.checkpoint': None,
    'default_hooks.vocabulary.train_size': 200,
    'model.backbone.vocab_size': 200,
    'test_dataloader.dataset.split': 'all',
    'test_cfg.num_queries': 4,
    'test_cfg.num_candidates': 3,
}


@pytest.fixture
def two_steps(catalogue, tmp_path):
    """Config of a row -> its model after two steps, and the metrics of a ranking."""

    for file in (catalogue / 'images').iterdir():
        noise = np.random.default_rng(len(file.name)).integers(0, 255, (40, 30, 3), np.uint8)
        Image.fromarray(noise).save(file)

    def run(path, options=None):
        config = load_config(path, {**SMALL, **(options or {})}, str(catalogue))
        config.work_dir = str(tmp_path / 'work')
        config.experiment_name = f'baseline_{time.monotonic_ns()}'
        runner = Runner.from_cfg(config)
        runner.train()
        metrics = runner.test()
        return runner.model, metrics

    return run
