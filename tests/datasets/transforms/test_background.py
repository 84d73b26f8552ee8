"""Contract: backgrounds, sizes and positions change; the product's pixels do not."""

import numpy as np
import pytest
from mmpretrain.datasets import ColorJitter

from mvlt.datasets import FillBackground, RandomZoomOut

WHITE, NEAR, BLUE = (255, 255, 255), (252, 253, 254), (10, 20, 200)


def _product():
    """A blue ring on white in 7 x 6 pixels; its inside is white, too."""
    image = np.full((7, 6, 3), 255, np.uint8)
    image[2:5, 1:5] = BLUE
    image[3, 2:4] = WHITE
    image[0, 0] = NEAR
    image.setflags(write=False)  # as Pillow and caches give it
    return image


def _ring():
    ring = np.zeros((7, 6), bool)
    ring[2:5, 1:5] = True  # with its inside
    return ring


def test_the_background_is_what_is_white_up_to_the_product():
    assert (FillBackground().background(_product()) == ~_ring()).all()
    assert not FillBackground(threshold=255).background(_product())[0, 0]


def test_regions_that_touch_by_a_corner_are_apart():
    image = np.zeros((4, 4, 3), np.uint8)
    image[0] = image[1, 0] = image[2, 1] = WHITE
    expected = np.zeros((4, 4), bool)
    expected[0] = expected[1, 0] = True
    assert (FillBackground().background(image) == expected).all()


def test_one_tone_and_an_untouched_product():
    np.random.seed(0)
    image = _product()
    before = image.copy()
    for _ in range(20):
        filled = FillBackground(1.0, levels=(100, 200), tint=30)(dict(img=image))['img']
        assert (filled[_ring()] == image[_ring()]).all()
        (tone,) = np.unique(filled[~_ring()], axis=0)
        assert (tone >= 70).all() and (tone <= 230).all() and np.ptp(tone) <= 60
    assert (image == before).all()


def test_the_tone_is_what_is_drawn():
    filled = FillBackground(0.5, levels=(128, 255), tint=32)
    np.random.seed(1)
    assert np.random.random() < 0.5
    level = np.random.uniform(128, 255)
    tone = (level + np.random.uniform(-32, 32, 3)).round().clip(0, 255)
    np.random.seed(1)
    assert (filled(dict(img=_product()))['img'][0, 0] == tone).all()
    greys = FillBackground(1.0, levels=(60, 60), tint=0)(dict(img=_product()))['img']
    assert (greys[0, 0] == 60).all()


def test_photographs_stay():
    """Half of the border is not enough: 10 of 20 pixels, corners count twice."""
    image = np.full((5, 5, 3), 90, np.uint8)
    image[0, :4] = image[-1, :4] = WHITE
    assert FillBackground(1.0)(dict(img=image))['img'] is image
    image[0, 4] = WHITE  # 12 of 20
    assert FillBackground(1.0)(dict(img=image))['img'] is not image


def test_as_often_as_asked():
    np.random.seed(0)
    for transform in (FillBackground(0.3), RandomZoomOut(0.3, side_range=(1.5, 1.5))):
        image = _product()
        changed = [transform(dict(img=image))['img'] is not image for _ in range(2000)]
        assert np.mean(changed) == pytest.approx(0.3, abs=0.03)  # standard error 0.01


@pytest.mark.parametrize(
    ('side', 'aspect', 'shape'),
    [(1, 1, (7, 6)), (2, 1, (14, 12)), (1, 1.5, (7, 9)), (1, 0.5, (14, 6)), (2, 0.5, (28, 12))],
)
def test_size_of_the_canvas(side, aspect, shape):
    step = RandomZoomOut(1.0, side_range=(side, side), aspect_range=(aspect, aspect))
    results = step(dict(img=_product(), img_shape=(7, 6)))
    assert results['img'].shape == (*shape, 3) and results['img_shape'] == shape


def test_the_product_is_somewhere_on_its_background():
    np.random.seed(0)
    step = RandomZoomOut(1.0, side_range=(1.0, 2.0))
    image = _product()
    image = np.where(image >= 252, np.uint8(180), image)  # as FillBackground leaves it
    positions = set()
    for _ in range(200):
        canvas = step(dict(img=image))['img']
        blue = (canvas == BLUE).all(axis=2)
        rows, columns = np.flatnonzero(blue.any(1)), np.flatnonzero(blue.any(0))
        top, left = int(rows[0]) - 2, int(columns[0]) - 1
        assert (canvas[top : top + 7, left : left + 6] == image).all()
        assert (canvas == 180).all(axis=2).sum() == canvas[..., 0].size - blue.sum()
        positions.add((top, left))
    assert len(positions) > 20 and (0, 0) in positions


def test_wide_canvases_are_as_likely_as_tall_ones():
    np.random.seed(0)
    step = RandomZoomOut(1.0, side_range=(1.0, 1.0), aspect_range=(0.5, 2.0))
    image = np.zeros((100, 100, 3), np.uint8)
    shapes = [step(dict(img=image))['img'].shape[:2] for _ in range(1000)]
    wide = np.mean([width > height for height, width in shapes])
    assert wide == pytest.approx(0.5, abs=0.05)  # standard error 0.016
    assert max(max(shape) for shape in shapes) <= 200


@pytest.mark.parametrize(
    ('kind', 'settings', 'message'),
    [
        (FillBackground, dict(prob=1.2), r'FillBackground.prob=1.2: a probability from 0 to 1'),
        (FillBackground, dict(threshold=0), r'threshold=0: 1 to 255'),
        (FillBackground, dict(levels=(200, 100)), r'levels=\(200, 100\): 0 to 255, the darkest'),
        (RandomZoomOut, dict(prob=-0.1), r'RandomZoomOut.prob=-0.1: a probability from 0 to 1'),
        (RandomZoomOut, dict(side_range=(0.5, 1)), r'side_range=\(0.5, 1\): 1 or more'),
        (RandomZoomOut, dict(aspect_range=(0, 1)), r'aspect_range=\(0, 1\): above 0'),
    ],
)
def test_legal_values(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)


def test_brightness_of_mmpretrain_keeps_the_hue():
    """ColorJitter(brightness, contrast): one factor for all channels, in RGB as in BGR."""
    image = np.full((4, 4, 3), (100, 50, 20), np.uint8)
    np.random.seed(0)
    for _ in range(20):
        changed = ColorJitter(brightness=0.2)(dict(img=image))['img'][0, 0]
        factor = changed[0] / 100
        assert 0.79 <= factor <= 1.21
        np.testing.assert_allclose(changed, factor * np.array((100, 50, 20)), atol=1)
    grey = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) // 3 * 3
    grey = np.repeat(grey[..., :1], 3, axis=2)
    changed = ColorJitter(brightness=0.2, contrast=0.2)(dict(img=grey))['img']
    assert (changed == changed[..., :1]).all()
