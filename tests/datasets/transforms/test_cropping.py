"""Contract: the released code's box, by the dots of the dithered image; never empty."""

from pathlib import Path

import numpy as np
import pytest

from mvlt.datasets import CenterCropRatio, CropToForeground, ResizeShortEdge
from mvlt.datasets.transforms.loading import read_image

IMAGES = Path(__file__).parents[4] / 'shared/data/products/images'


def _crop(image):
    results = CropToForeground()(dict(img=image, img_shape=image.shape[:2]))
    assert results['img_shape'] == results['img'].shape[:2]
    return results['img']


def _naive_box(image):
    """Rows and columns of the dots, pixel by pixel: luminance (ITU-R 601), below 128 black, the
    error carried on to the right (7/16) and the three below (3/16, 5/16, 1/16)."""
    grey = (image.astype(np.int64) @ [19595, 38470, 7471] + 0x8000) >> 16
    height, width = grey.shape
    carried = np.zeros((height + 1, width + 2))
    dots = []
    for y in range(height):
        for x in range(width):
            value = min(max(grey[y, x] + carried[y, x + 1], 0), 255)
            if value <= 128:
                dots.append((y, x))
            error = value - (255 if value > 128 else 0)
            carried[y, x + 2] += error * 7 / 16
            carried[y + 1, x : x + 3] += error * np.array([3, 5, 1]) / 16
    rows, columns = np.array(dots).T
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_the_last_row_and_column_are_left_out():
    image = np.full((8, 9, 3), 255, np.uint8)
    image[2:6, 3:8] = 0
    assert np.array_equal(_crop(image), image[2:5, 3:7])


def test_a_light_margin_has_no_dots():
    """Dithering decides, not "not white": 254 everywhere is all white."""
    image = np.full((40, 40, 3), 254, np.uint8)
    assert np.array_equal(_crop(image), image)
    image[10:30, 12:32] = 20
    cropped = _crop(image)
    assert 18 <= cropped.shape[0] <= 20 and 18 <= cropped.shape[1] <= 20


def test_against_a_naive_twin():
    rng = np.random.default_rng(0)
    for _ in range(20):
        image = np.full((24, 20, 3), 255, np.uint8)
        top, left = rng.integers(2, 9, 2)
        image[top : top + 12, left : left + 9] = rng.integers(0, 120, (12, 9, 3))
        first, last, start, stop = _naive_box(image)
        assert np.array_equal(_crop(image), image[first:last, start:stop])


@pytest.mark.skipif(not IMAGES.is_dir(), reason='product images are missing')
def test_against_a_naive_twin_on_real_images():
    for path in sorted(IMAGES.iterdir())[:400:50]:
        image = read_image(str(path))
        first, last, start, stop = _naive_box(image)
        box = _crop(image)
        # Pillow carries whole numbers: a dot of the light margin may lie a pixel further out
        assert abs(box.shape[0] - (last - first)) <= 2 and abs(box.shape[1] - (stop - start)) <= 2


def test_images_without_a_box_stay():
    white = np.full((4, 5, 3), 255, np.uint8)
    line = white.copy()
    line[2] = 0
    for image in (white, line):
        assert np.array_equal(_crop(image), image)


def test_a_full_image_loses_its_last_row_and_column():
    image = np.zeros((4, 5, 3), np.uint8)
    assert _crop(image).shape == (3, 4, 3)


def test_the_middle():
    image = np.arange(10 * 7 * 3, dtype=np.uint8).reshape(10, 7, 3)
    results = CenterCropRatio(0.8)(dict(img=image))
    assert np.array_equal(results['img'], image[1:9, :6])  # 8 of 10 rows, 6 of 7 columns
    assert results['img_shape'] == (8, 6)
    assert np.array_equal(CenterCropRatio(1)(dict(img=image))['img'], image)
    assert CenterCropRatio(0.01)(dict(img=image))['img'].shape == (1, 1, 3)
    for share in (0, 1.1):
        with pytest.raises(ValueError, match='above 0, 1 at most'):
            CenterCropRatio(share)


@pytest.mark.parametrize('size', [(41, 60), (64, 37), (33, 34), (20, 50), (32, 32)])
@pytest.mark.parametrize('crop', [32, 27])
def test_the_short_edge_is_resized_as_transformers_and_torchvision_do(size, crop):
    from PIL import Image
    from torchvision.transforms import CenterCrop, InterpolationMode, Resize
    from transformers import CLIPImageProcessor

    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    processor = CLIPImageProcessor(
        size=dict(shortest_edge=32), crop_size=crop, do_rescale=False, do_normalize=False
    )
    expected = np.asarray(processor(image).pixel_values[0]).transpose(1, 2, 0)
    results = ResizeShortEdge(32, crop)(dict(img=pixels))
    assert np.array_equal(results['img'], expected)
    assert results['img_shape'] == (crop, crop)

    expected = CenterCrop(crop)(Resize(32, InterpolationMode.BILINEAR)(image))
    step = ResizeShortEdge(32, crop, interpolation='bilinear', rounding='even')
    assert np.array_equal(step(dict(img=pixels))['img'], np.asarray(expected))


@pytest.mark.parametrize(
    ('settings', 'says'),
    [
        (dict(size=8, crop_size=9), 'crop_size=9: 1 to size, which is 8'),
        (dict(size=8, interpolation='cubic'), "interpolation='cubic'; legal: .*bicubic"),
        (dict(size=8, rounding='up'), "rounding='up'; legal: 'down', 'even'"),
    ],
)
def test_settings_of_the_short_edge(settings, says):
    with pytest.raises(ValueError, match=says):
        ResizeShortEdge(**settings)
