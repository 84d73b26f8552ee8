"""Contract: Table 6 follows the paper's text and ViLT (fidelity points 32 and 33)."""

import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mvlt.config import load_config
from mvlt.registry import TRANSFORMS


def _config(name):
    return load_config(f'mvlt/{name}')


def _augment(config):
    return config.train_dataloader.dataset.dataset.pipeline.augment


def test_the_papers_row_has_no_extra_data_and_no_retrieval_loss():
    config = _config('pretrain_coco')
    assert config.load_from is None
    assert {name for name, head in config.model.heads.items() if head} == {'itm', 'mlm', 'mir'}
    assert config.model.heads.itm.type.endswith('ITMHead')
    assert _config('finetune_coco_vilt').model.heads.itm.type.endswith('RankingHead')
    assert _config('finetune_coco_vilt').load_from == 'work_dirs/pretrain_coco/epoch_10.pth'
    variant = _config('pretrain_coco_from_fashiongen')
    assert variant.load_from == 'work_dirs/pretrain_fashiongen/epoch_150.pth'


@pytest.mark.parametrize('name', ['pretrain_coco', 'finetune_coco_vilt'])
def test_vilts_optimiser(name):
    wrapper = _config(name).optim_wrapper
    assert wrapper.optimizer.betas == (0.9, 0.98)
    assert wrapper.optimizer.weight_decay == 0.01 and wrapper.optimizer.lr == 1e-4
    assert wrapper.paramwise_cfg == dict(norm_decay_mult=0.0, bias_decay_mult=0.0)


def test_vilts_reading():
    config = _config('pretrain_coco')
    pipeline = config.train_dataloader.dataset.dataset.pipeline
    names = [name for name, step in pipeline.items() if step]
    assert names == ['load', 'augment', 'resize', 'mask', 'tokenize', 'words', 'pack']
    assert pipeline.resize.scale == (384, 384) and pipeline.tokenize.max_length == 40
    tested = _config('retrieval_full_coco')
    assert tested.test_cfg.merge_captions is False
    assert tested.test_dataloader.dataset.pipeline.augment is None


def test_vilts_randaugment():
    """Two of 14, never Invert, magnitude 9 of 30, every chosen one applied."""
    settings = _augment(_config('pretrain_coco'))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        augment = TRANSFORMS.build(dict(settings))
    kinds = [type(transform).__name__ for transform in augment.transforms]
    assert len(kinds) == 14 and 'Invert' not in kinds and augment.num_policies == 2
    assert all(transform.prob == 1 for transform in augment.transforms)
    magnitudes = {
        type(transform).__name__: transform.random_magnitude()
        for transform in augment.transforms
        if transform.magnitude_range is not None
    }
    # x 9 / 30: 30 degrees, 256, 110, factors 0.1 to 1.9 less 1, 0.3, 100 of 640 pixels
    assert magnitudes == pytest.approx(
        dict(
            Rotate=9,
            Solarize=76.8,
            SolarizeAdd=33,
            ColorTransform=-0.36,
            Contrast=-0.36,
            Brightness=-0.36,
            Sharpness=-0.36,
            Shear=0.09,
            Translate=30 / 640,
        )
    )
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for transform in augment.transforms:
        changed = transform(dict(img=image.copy()))['img']
        assert changed.shape == image.shape and changed.dtype == np.uint8
    (brightness,) = [t for t in augment.transforms if type(t).__name__ == 'Brightness']
    np.testing.assert_allclose(brightness(dict(img=image.copy()))['img'], 0.64 * image, atol=1)


def test_the_row_is_ranked_by_the_matching_head():
    config = _config('retrieval_full_coco')
    assert config.test_cfg.rerank == 'itm' and config.test_cfg.rerank_topk is None
