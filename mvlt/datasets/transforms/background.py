"""Changes around a product that leave its pixels, so its colour, as they are."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from scipy import ndimage

from mvlt.registry import TRANSFORMS


def _border(image: np.ndarray) -> np.ndarray:
    """The outermost pixels (H, W, ...) -> (2 H + 2 W, ...); corners count twice."""
    return np.concatenate((image[0], image[-1], image[:, 0], image[:, -1]))


def _check_prob(name: str, prob: float) -> None:
    if not 0 <= prob <= 1:
        raise ValueError(f'{name}.prob={prob}: a probability from 0 to 1')


@TRANSFORMS.register_module()
class FillBackground(BaseTransform):
    """Fill the near-white background of ``img`` with a random tone.

    Shops show products on white; photographers and shoppers do not. The background is what is
    near-white and connected with the border, side by side; white parts of a product that other
    colours enclose stay. An image whose border is mostly of other colours stays as it is.

    Args:
        prob: probability of a change, 0 to 1.
        threshold: near-white is at least this in every channel, 1 to 255. Below 250, parts of
            white products count as background.
        levels: darkest and lightest grey of a tone, 0 to 255.
        tint: most that a channel of the tone differs from its grey; 0 = greys alone.
    """

    def __init__(
        self,
        prob: float = 0.5,
        threshold: int = 252,
        levels: Sequence[int] = (128, 255),
        tint: int = 32,
    ) -> None:
        _check_prob('FillBackground', prob)
        if not 1 <= threshold <= 255:
            raise ValueError(f'FillBackground.threshold={threshold}: 1 to 255')
        if not 0 <= levels[0] <= levels[1] <= 255:
            raise ValueError(f'FillBackground.levels={levels}: 0 to 255, the darkest first')
        self.prob = prob
        self.threshold = threshold
        self.levels = levels[0], levels[1]
        self.tint = tint

    def transform(self, results: dict) -> dict:
        """Change ``img`` uint8 (H, W, 3) outside the product."""
        if np.random.random() >= self.prob:
            return results
        level = np.random.uniform(*self.levels)
        tone = level + np.random.uniform(-self.tint, self.tint, 3)
        background = self.background(results['img'])
        if _border(background).mean() > 0.5:
            filled = results['img'].copy()  # the image may be of a cache
            filled[background] = tone.round().clip(0, 255)
            results['img'] = filled
        return results

    def background(self, image: np.ndarray) -> np.ndarray:
        """The background of an image (H, W, 3), bool (H, W)."""
        white = (image >= self.threshold).all(axis=2)
        regions, count = ndimage.label(white)
        at_border = np.zeros(count + 1, bool)
        at_border[_border(regions)] = True
        at_border[0] = False  # what is not white
        return at_border[regions]


@TRANSFORMS.register_module()
class RandomZoomOut(BaseTransform):
    """Place ``img`` on a larger canvas of its border's colour, at a random position.

    Products get smaller, off-centre and, after a Resize to a square, narrower or flatter. The
    opposite, larger products, is mmpretrain's RandomResizedCrop.

    Args:
        prob: probability of a change, 0 to 1.
        side_range: smallest and largest side of the canvas, in sides of the image, at least 1.
        aspect_range: least and most width by height of the canvas, relative to the image's;
            log-uniform. 1 keeps it.
    """

    def __init__(
        self,
        prob: float = 0.5,
        side_range: Sequence[float] = (1.0, 1.5),
        aspect_range: Sequence[float] = (0.75, 4 / 3),
    ) -> None:
        _check_prob('RandomZoomOut', prob)
        if not 1 <= side_range[0] <= side_range[1]:
            raise ValueError(
                f'RandomZoomOut.side_range={side_range}: 1 or more, the smallest first'
            )
        if not 0 < aspect_range[0] <= aspect_range[1]:
            raise ValueError(f'RandomZoomOut.aspect_range={aspect_range}: above 0, the least first')
        self.prob = prob
        self.side_range = side_range[0], side_range[1]
        self.aspect_range = aspect_range[0], aspect_range[1]

    def transform(self, results: dict) -> dict:
        """Enlarge ``img`` uint8 (H, W, 3)."""
        if np.random.random() >= self.prob:
            return results
        image = results['img']
        height, width = image.shape[:2]
        side = np.random.uniform(*self.side_range)
        aspect = np.exp(np.random.uniform(*np.log(self.aspect_range)))
        rows, columns = round(height * side / min(aspect, 1)), round(width * side * max(aspect, 1))
        top, left = np.random.randint(rows - height + 1), np.random.randint(columns - width + 1)
        canvas = np.empty((rows, columns, 3), np.uint8)
        canvas[:] = np.median(_border(image), axis=0)
        canvas[top : top + height, left : left + width] = image
        results['img'] = canvas
        results['img_shape'] = canvas.shape[:2]
        return results
