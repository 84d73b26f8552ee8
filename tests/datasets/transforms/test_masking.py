"""Contract: floor(ratio x Q) units, or floor(ratio x H x W) pixels, are masked, exactly."""

import numpy as np
import pytest
import torch

from mvlt.datasets import (
    CentreMask,
    GridMask,
    RandomGridMask,
    RandomSquareMask,
    StrokeMask,
    UnitStrokeMask,
)
from mvlt.models.data_preprocessor import mask_to_pixels

STYLES = [RandomGridMask, GridMask, UnitStrokeMask, CentreMask]


def _draw(style, ratio, alpha, side=256):
    img = np.zeros((side, side, 3), np.uint8)
    return style(ratio=ratio, alpha=alpha)(dict(img=img))['image_mask']


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize('alpha', [1, 2, 4, 8, 16])
@pytest.mark.parametrize('ratio', [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1])
def test_exact_number_of_units(style, ratio, alpha):
    mask = _draw(style, ratio, alpha)
    units = 256 // (4 * alpha)  # Q = 256^2 / (4 alpha)^2 (paper Sec. 3.2)
    assert mask.shape == (units, units) and mask.dtype == bool
    assert mask.sum() == int(round(ratio * 10) * units**2) // 10


def test_units_do_not_overlap_and_true_means_masked():
    mask = torch.from_numpy(_draw(RandomGridMask, 0.3, 8))[None]
    pixels = mask_to_pixels(mask, (256, 256))
    assert pixels.shape == (1, 1, 256, 256)
    # overlapping units would mask fewer pixels than units x unit area
    assert pixels.sum() == mask.sum() * 32**2
    blocks = pixels.view(8, 32, 8, 32).permute(0, 2, 1, 3).flatten(2)
    assert torch.equal(blocks.all(-1), mask[0])
    assert torch.equal(blocks.any(-1), mask[0])


def test_half_of_an_even_grid_is_a_chequered_board():
    rows, columns = np.indices((16, 16))
    mask = _draw(GridMask, 0.5, 4)
    assert np.array_equal(mask, (rows + columns) % 2 == 1)


def test_centre_is_a_square_in_the_middle():
    expected = np.zeros((16, 16), bool)
    expected[4:12, 4:12] = True  # 64 of 256 units
    assert np.array_equal(_draw(CentreMask, 0.25, 4), expected)


def test_random_styles_differ_between_draws_and_fixed_ones_do_not():
    for style in STYLES:
        same = np.array_equal(_draw(style, 0.5, 4), _draw(style, 0.5, 4))
        assert same == (style in (GridMask, CentreMask))


def test_random_grid_masks_every_unit_equally_often():
    share = np.mean([_draw(RandomGridMask, 0.5, 16) for _ in range(2000)], axis=0)
    assert np.abs(share - 0.5).max() < 0.06  # five standard errors of 2,000 draws


def test_strokes_are_connected_more_than_chance():
    def neighbours(mask):
        return (mask[:, 1:] & mask[:, :-1]).sum() + (mask[1:] & mask[:-1]).sum()

    strokes = np.mean([neighbours(_draw(UnitStrokeMask, 0.3, 4)) for _ in range(20)])
    chance = np.mean([neighbours(_draw(RandomGridMask, 0.3, 4)) for _ in range(20)])
    assert strokes > 1.2 * chance


@pytest.mark.parametrize('prob', [0.0, 0.5, 1.0])
def test_share_of_images_that_are_masked(prob):
    mask = RandomGridMask(ratio=0.5, alpha=16, prob=prob)
    counts = [mask(dict(img=np.zeros((256, 256, 3))))['image_mask'].sum() for _ in range(400)]
    assert set(counts) <= {0, 8}
    assert abs(np.mean(counts) / 8 - prob) <= (0.1 if prob == 0.5 else 0)


@pytest.mark.parametrize('ratio', [-0.1, 1.2])
def test_ratio_outside_0_to_1_is_refused(ratio):
    with pytest.raises(ValueError, match='a share from 0 to 1'):
        RandomGridMask(ratio=ratio)


def test_units_that_do_not_tile_the_image_name_the_legal_ones():
    with pytest.raises(ValueError, match=r'legal alpha: \[1, 2, 4, 8, 16, 32, 64\]'):
        _draw(GridMask, 0.5, 3)


@pytest.mark.parametrize('ratio', [0, 0.1, 0.5, 0.9, 1])
@pytest.mark.parametrize('size', [(64, 64), (256, 256), (40, 56)])
def test_strokes_mask_an_exact_number_of_pixels(ratio, size):
    mask = StrokeMask(ratio=ratio)(dict(img=np.zeros((*size, 3), np.uint8)))['image_mask']
    assert mask.shape == size and mask.dtype == bool
    assert mask.sum() == int(round(ratio * 10) * size[0] * size[1]) // 10
    # a mask of pixels is a mask of units of one pixel
    assert np.array_equal(mask_to_pixels(torch.from_numpy(mask)[None], size)[0, 0].numpy(), mask)


def test_strokes_of_the_released_code():
    """Point 30: 12.8 +- 5.3 % masked, 37 % of the units of 16 pixels in part, none whole."""
    img = np.zeros((256, 256, 3), np.uint8)
    masks = np.stack([StrokeMask(ratio=None)(dict(img=img))['image_mask'] for _ in range(200)])
    assert StrokeMask(ratio=None).ratio is None
    shares = masks.mean((1, 2))
    assert abs(shares.mean() - 0.128) < 4 * 0.053 / 200**0.5
    assert abs(shares.std() - 0.053) < 0.015
    units = masks.reshape(200, 16, 16, 16, 16).mean((2, 4))
    assert abs(((units > 0) & (units < 1)).mean() - 0.37) < 0.05
    assert (units == 1).mean() < 1e-3


def test_strokes_are_as_wide_as_their_brush():
    """A straight piece masks its length x the brush and the round ends; half at half the side."""
    for side, brush in ((256, 8), (128, 4)):
        style, centre = StrokeMask(widths=(8, 8)), np.array([side / 2, side / 2])
        for _ in range(30):
            for piece, begin in style._stroke(centre, side, side, pieces=1):
                rows, columns = np.nonzero(piece)
                length = np.hypot(columns - begin[0], rows - begin[1]).max()
                if begin is centre and length > side / 4:
                    assert piece.sum() / length == pytest.approx(brush, rel=0.25, abs=1)


@pytest.mark.parametrize('ratio', [0, 0.25, 0.5, 1])
def test_random_square(ratio):
    places = set()
    for _ in range(20):
        img = np.zeros((64, 32, 3), np.uint8)
        mask = RandomSquareMask(ratio=ratio)(dict(img=img))['image_mask']
        tall, wide = round(64 * ratio**0.5), round(32 * ratio**0.5)
        assert mask.shape == (64, 32) and mask.sum() == tall * wide
        if mask.any():
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            assert len(rows) == tall and len(columns) == wide  # one box
            places.add((rows[0], columns[0]))
    assert (len(places) > 5) == (0 < ratio < 1)


def test_masks_of_pixels_swap_by_type_alone():
    """Styles of pixels take the arguments of units; prob holds for them."""
    for style in (StrokeMask, RandomSquareMask):
        img = np.zeros((64, 64, 3), np.uint8)
        mask = style(ratio=0.5, alpha=8, patch_size=4, prob=0.0)(dict(img=img))['image_mask']
        assert mask.shape == (64, 64) and not mask.any()
    with pytest.raises(ValueError, match='narrowest first'):
        StrokeMask(widths=(5, 2))


def test_not_square_image():
    mask = RandomGridMask(ratio=0.5, alpha=2)(dict(img=np.zeros((64, 32, 3))))['image_mask']
    assert mask.shape == (8, 4) and mask.sum() == 16
