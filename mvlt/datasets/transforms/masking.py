"""The four ways of Fig. 8 to hide parts of an image (paper Eq. 3 and 4, Table 3 c).

A unit is a square of (alpha x P) pixels; an H x W image has Q = H W / (alpha P)^2 of them in rows
and columns. Every style hides exactly floor(ratio x Q) units, each once.
"""

from abc import ABC, abstractmethod

import numpy as np
from mmcv.transforms import BaseTransform

from mvlt.registry import TRANSFORMS


class ImageMask(BaseTransform, ABC):
    """Add ``image_mask``, bool (H / u, W / u), True = hidden, u = alpha x P pixels.

    The mask travels beside the image; the data preprocessor fills the hidden pixels. A style of
    your own derives from this class and implements :meth:`draw`.

    Args:
        ratio: r_v, share of units to hide, 0 to 1.
        alpha: side of a unit in patches (1 to 16 in Table 3 b).
        patch_size: P, side of a patch in pixels.
        prob: share of images that are masked at all, 0 to 1. The paper masks every one (1); the
            released code those of every second step.

    Raises:
        ValueError: ``ratio`` or ``prob`` outside 0..1, a unit of no pixels, or, for an image, units
            that do not tile it.
    """

    def __init__(
        self, ratio: float = 0.5, alpha: int = 4, patch_size: int = 4, prob: float = 1.0
    ) -> None:
        for name, share in dict(ratio=ratio, prob=prob).items():
            if not 0 <= share <= 1:
                raise ValueError(
                    f'{type(self).__name__}.{name}={share}: a share from 0 to 1 is needed'
                )
        if alpha < 1 or patch_size < 1:
            raise ValueError(
                f'{type(self).__name__}: alpha={alpha} and patch_size={patch_size} must be positive'
            )
        self.ratio = ratio
        self.prob = prob
        self.unit = alpha * patch_size
        self.patch_size = patch_size

    def transform(self, results: dict) -> dict:
        """Draw a mask for ``img`` (H, W, 3)."""
        height, width = results['img'].shape[:2]
        if height % self.unit or width % self.unit:
            legal = [
                alpha
                for alpha in range(1, min(height, width) // self.patch_size + 1)
                if not height % (alpha * self.patch_size) and not width % (alpha * self.patch_size)
            ]
            raise ValueError(
                f'{type(self).__name__}: units of {self.unit} pixels (alpha '
                f'{self.unit // self.patch_size} x P {self.patch_size}) do not tile an image of '
                f'{height} x {width}; legal alpha: {legal}'
            )
        rows, columns = height // self.unit, width // self.unit
        # the margin undoes binary rounding: 0.7 x 10 units are 7, not 6
        count = int(np.floor(self.ratio * rows * columns + 1e-9))
        if self.prob < 1 and np.random.random() >= self.prob:
            count = 0
        results['image_mask'] = self.draw(rows, columns, count)
        return results

    @abstractmethod
    def draw(self, rows: int, columns: int, count: int) -> np.ndarray:
        """A bool array (rows, columns) with exactly ``count`` True."""


@TRANSFORMS.register_module()
class RandomGridMask(ImageMask):
    """Units drawn at random without replacement: the paper's choice."""

    def draw(self, rows: int, columns: int, count: int) -> np.ndarray:
        """See :meth:`ImageMask.draw`."""
        mask = np.zeros(rows * columns, dtype=bool)
        mask[np.random.permutation(rows * columns)[:count]] = True
        return mask.reshape(rows, columns)


@TRANSFORMS.register_module()
class GridMask(ImageMask):
    """Units at even distances: a chequered board at 0.5. Always the same for one ratio.

    The paper shows the style without a rule. Here units are walked in rows, forth and back, and
    one is hidden whenever ratio x (units walked) passes a whole number.
    """

    def draw(self, rows: int, columns: int, count: int) -> np.ndarray:
        """See :meth:`ImageMask.draw`."""
        walked = np.arange(rows * columns + 1) * count // (rows * columns)
        mask = np.diff(walked).astype(bool).reshape(rows, columns)
        mask[1::2] = mask[1::2, ::-1]
        return mask


@TRANSFORMS.register_module()
class StrokeMask(ImageMask):
    """Free brush strokes: random walks that keep their direction for a while.

    Args:
        stroke_length: units of a stroke before a new one starts elsewhere; None = the longer side
            of the grid.
        turn_prob: probability of a turn after each step, 0 to 1.
    """

    def __init__(
        self,
        ratio: float = 0.5,
        alpha: int = 4,
        patch_size: int = 4,
        prob: float = 1.0,
        stroke_length: int | None = None,
        turn_prob: float = 0.3,
    ) -> None:
        super().__init__(ratio, alpha, patch_size, prob)
        self.stroke_length = stroke_length
        self.turn_prob = turn_prob

    def draw(self, rows: int, columns: int, count: int) -> np.ndarray:
        """See :meth:`ImageMask.draw`."""
        mask = np.zeros((rows, columns), dtype=bool)
        length = self.stroke_length or max(rows, columns)
        while (left := count - int(mask.sum())) > 0:
            # each stroke starts on a visible unit, so every stroke hides at least one
            row, column = divmod(int(np.random.choice(np.flatnonzero(~mask))), columns)
            direction = np.random.uniform(0, 2 * np.pi)
            y, x = row + 0.5, column + 0.5
            for _ in range(length):
                if not (0 <= y < rows and 0 <= x < columns) or left == 0:
                    break
                left -= not mask[int(y), int(x)]
                mask[int(y), int(x)] = True
                if np.random.random() < self.turn_prob:
                    direction += np.random.uniform(-np.pi / 2, np.pi / 2)
                y, x = y + np.sin(direction), x + np.cos(direction)
        return mask


@TRANSFORMS.register_module()
class CentreMask(ImageMask):
    """One square in the middle, as nearly as the count allows. Always the same for one ratio."""

    def draw(self, rows: int, columns: int, count: int) -> np.ndarray:
        """See :meth:`ImageMask.draw`."""
        from_top = np.abs(np.arange(rows) - (rows - 1) / 2)[:, None] * columns
        from_left = np.abs(np.arange(columns) - (columns - 1) / 2)[None] * rows
        # rings around the centre, within a ring the straight neighbours before the corners
        ring = np.maximum(from_top, from_left)
        order = np.lexsort(((from_top + from_left).ravel(), ring.ravel()))
        mask = np.zeros(rows * columns, dtype=bool)
        mask[order[:count]] = True
        return mask.reshape(rows, columns)
