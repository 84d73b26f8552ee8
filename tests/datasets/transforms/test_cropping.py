"""Contract: the box of pixels that are not white, and never an empty picture."""

import numpy as np
import pytest

from mvlt.datasets import CropToProduct


def _crop(image, **kwargs):
    results = CropToProduct(**kwargs)(dict(img=image, img_shape=image.shape[:2]))
    assert results['img_shape'] == results['img'].shape[:2]
    return results['img']


def test_box_of_what_is_not_white():
    image = np.full((6, 8, 3), 255, np.uint8)
    image[2, 3] = (255, 254, 255)  # one colour a little off is enough
    image[4, 5] = 0
    assert np.array_equal(_crop(image), image[2:5, 3:6])
    assert np.array_equal(_crop(image, threshold=200), image[4:5, 5:6])


def test_a_white_picture_and_a_full_one_stay():
    for value in (255, 0):
        image = np.full((4, 5, 3), value, np.uint8)
        assert np.array_equal(_crop(image), image)


def test_bad_threshold():
    with pytest.raises(ValueError, match='0 to 255'):
        CropToProduct(threshold=256)
