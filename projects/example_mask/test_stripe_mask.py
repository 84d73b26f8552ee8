"""Contract: a config alone uses a mask from outside."""

import numpy as np
import pytest

from mvlt.config import load_config
from mvlt.registry import DATASETS
from projects.example_mask.stripe_mask import StripeMask


@pytest.mark.parametrize('ratio', [0, 0.3, 0.5, 1])
def test_exact_count_in_whole_rows(ratio):
    mask = StripeMask(ratio=ratio, alpha=2)(dict(img=np.zeros((64, 64, 3))))['image_mask']
    assert mask.sum() == int(ratio * 64)
    assert ((mask.sum(1) % 8) != 0).sum() <= 1


def test_the_config_uses_it(demo_data):
    config = load_config('projects/example_mask/pretrain_stripes.py', data_root=str(demo_data))
    dataset = DATASETS.build(config.train_dataloader.dataset)
    masks = [t for t in dataset.dataset.pipeline.transforms if isinstance(t, StripeMask)]
    assert len(masks) == 1 and masks[0].ratio == 0.5
