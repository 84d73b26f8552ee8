"""Masking styles for images (paper Eq. 3 and 4, Fig. 8, Table 3 c).

The paper masks units: a unit is a square of (alpha x P) pixels; an H x W image has
Q = H W / (alpha P)^2 of them in rows and columns (:class:`UnitMask`). Strokes and squares mask
pixels instead.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, ImageDraw

from mvlt.registry import TRANSFORMS


class ImageMask(BaseTransform, ABC):
    """Add ``image_mask``, bool (H / u, W / u), True = masked; u = 1 if a style masks pixels.

    The data preprocessor fills the masked pixels. For a new style derive from this class and
    implement :meth:`mask`, or derive from :class:`UnitMask`.

    Args:
        ratio: r_v, share of the image to mask, 0 to 1.
        alpha: side of a unit in patches (1 to 16 in Table 3 b).
        patch_size: P, side of a patch in pixels. Styles that mask pixels ignore both, so a config
            changes the style by its type alone.
        prob: share of images to mask, 0 to 1: the paper's 1. The released code masks every second
            step's.

    Raises:
        ValueError: ``ratio`` or ``prob`` outside 0..1, or a unit of no pixels.
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
        self.ratio: float | None = ratio
        self.prob = prob
        self.unit = alpha * patch_size
        self.patch_size = patch_size

    def transform(self, results: dict) -> dict:
        """Add a mask for ``img`` (H, W, 3)."""
        visible = self.prob < 1 and np.random.random() >= self.prob
        mask = self.mask(*results['img'].shape[:2])
        results['image_mask'] = np.zeros_like(mask) if visible else mask
        return results

    @abstractmethod
    def mask(self, height: int, width: int) -> np.ndarray:
        """Mask of an image of H x W pixels, bool (H / u, W / u)."""

    def count(self, total: int) -> int:
        """floor(ratio x total)."""
        # the margin undoes binary rounding: 0.7 x 10 units are 7, not 6
        return int(np.floor((self.ratio or 0) * total + 1e-9))


class UnitMask(ImageMask):
    """Mask exactly floor(ratio x Q) units, each once; u = alpha x P (Eq. 4).

    A style implements :meth:`draw`.

    Raises:
        ValueError: on an image that units do not tile.
    """

    def mask(self, height: int, width: int) -> np.ndarray:
        """See :meth:`ImageMask.mask`."""
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
        return self.draw(rows, columns, self.count(rows * columns))

    @abstractmethod
    def draw(self, rows: int, columns: int, count: int) -> np.ndarray:
        """A bool array (rows, columns) with exactly ``count`` True."""


@TRANSFORMS.register_module()
class RandomGridMask(UnitMask):
    """Random units without replacement: the paper's choice."""

    def draw(self, rows: int, columns: int, count: int) -> np.ndarray:
        """See :meth:`UnitMask.draw`."""
        mask = np.zeros(rows * columns, dtype=bool)
        mask[np.random.permutation(rows * columns)[:count]] = True
        return mask.reshape(rows, columns)


@TRANSFORMS.register_module()
class GridMask(UnitMask):
    """Units at even distances: a chequered board at 0.5. Deterministic.

    The paper gives no rule. This class walks the rows forth and back, and masks a unit whenever
    ratio x (units walked) passes a whole number.
    """

    def draw(self, rows: int, columns: int, count: int) -> np.ndarray:
        """See :meth:`UnitMask.draw`."""
        walked = np.arange(rows * columns + 1) * count // (rows * columns)
        mask = np.diff(walked).astype(bool).reshape(rows, columns)
        mask[1::2] = mask[1::2, ::-1]
        return mask


@TRANSFORMS.register_module()
class UnitStrokeMask(UnitMask):
    """Strokes of whole units: random walks that keep their direction for a while.

    This style masks exactly as much as :class:`RandomGridMask`. The paper's strokes are
    :class:`StrokeMask`.

    Args:
        ratio, alpha, patch_size, prob: see :class:`ImageMask`.
        stroke_length: units of a stroke; None = the longer side of the grid.
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
        """See :meth:`UnitMask.draw`."""
        mask = np.zeros((rows, columns), dtype=bool)
        length = self.stroke_length or max(rows, columns)
        while (left := count - int(mask.sum())) > 0:
            # a stroke starts on a visible unit, so it masks at least this unit
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
class CentreMask(UnitMask):
    """A central square, as nearly as the count of units allows. Deterministic."""

    def draw(self, rows: int, columns: int, count: int) -> np.ndarray:
        """See :meth:`UnitMask.draw`."""
        from_top = np.abs(np.arange(rows) - (rows - 1) / 2)[:, None] * columns
        from_left = np.abs(np.arange(columns) - (columns - 1) / 2)[None] * rows
        # rings around the centre, within a ring the straight neighbours before the corners
        ring = np.maximum(from_top, from_left)
        order = np.lexsort(((from_top + from_left).ravel(), ring.ravel()))
        mask = np.zeros(rows * columns, dtype=bool)
        mask[order[:count]] = True
        return mask.reshape(rows, columns)


@TRANSFORMS.register_module()
class RandomSquareMask(ImageMask):
    """A box of pixels at a random position: the released code's "centre" (fidelity point 31).

    The box has the image's proportions and ``ratio`` of its area, up to whole pixels.
    """

    def mask(self, height: int, width: int) -> np.ndarray:
        """See :meth:`ImageMask.mask`."""
        mask = np.zeros((height, width), dtype=bool)
        tall, wide = (round(side * (self.ratio or 0) ** 0.5) for side in (height, width))
        top, left = np.random.randint(height - tall + 1), np.random.randint(width - wide + 1)
        mask[top : top + tall, left : left + wide] = True
        return mask


@TRANSFORMS.register_module()
class StrokeMask(ImageMask):
    """Free-form brush strokes of pixels (Fig. 8; fidelity point 30).

    As in the released code, a stroke has up to three straight pieces of random direction, width
    and length, up to the image's side. Most units that they touch keep visible pixels, the "visual
    cues in the sub-patches" of Sec. 4.3. Pieces end at the border, which is therefore masked more
    often than the centre, as in the released code.

    Args:
        ratio: share of the pixels to mask, 0 to 1: strokes are added until exactly floor(ratio x
            H x W) pixels are masked, and the last one is cut. None = 5 to 13 strokes, as in the
            released code: 12 % on average, 13 % there.
        alpha, patch_size, prob: see :class:`ImageMask`.
        widths: narrowest and widest brush, in pixels of a 256 x 256 image; scaled with the image.
            (The released code rounds widths down to even numbers.)
    """

    def __init__(
        self,
        ratio: float | None = 0.5,
        alpha: int = 4,
        patch_size: int = 4,
        prob: float = 1.0,
        widths: Sequence[int] = (5, 10),
    ) -> None:
        super().__init__(0.0 if ratio is None else ratio, alpha, patch_size, prob)
        self.ratio: float | None = ratio
        if not 0 < widths[0] <= widths[1]:
            raise ValueError(f'StrokeMask.widths={widths}: positive, the narrowest first')
        self.widths = tuple(widths)

    def mask(self, height: int, width: int) -> np.ndarray:
        """See :meth:`ImageMask.mask`."""
        mask = np.zeros((height, width), dtype=bool)
        if self.ratio is None:
            for _ in range(np.random.randint(5, 14)):
                start = np.random.uniform((0, 0), (width, height))
                for piece, _ in self._stroke(start, height, width):
                    mask |= piece
            return mask
        left = self.count(mask.size)
        if left == mask.size:
            return ~mask
        while left:
            # a stroke starts on a visible pixel, so it masks at least this pixel
            pixel = np.random.choice(np.flatnonzero(~mask))
            start = np.array([pixel % width, pixel // width], dtype=float)
            for piece, begin in self._stroke(start, height, width, pieces=1):
                new = np.flatnonzero(piece & ~mask)
                if len(new) > left:
                    away = np.hypot(new % width - begin[0], new // width - begin[1])
                    new = new[np.argsort(away, kind='stable')[:left]]
                mask.flat[new] = True
                left -= len(new)
        return mask

    def _stroke(
        self, start: np.ndarray, height: int, width: int, pieces: int = 0
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pixels of each straight piece, bool (H, W), and its start (x, y).

        Args:
            start: x and y of the first piece.
            height, width: of the image.
            pieces: minimum; the maximum is three.
        """
        side = max(height, width)
        for _ in range(np.random.randint(pieces, 4)):
            angle, length = np.random.uniform((0, 0), (2 * np.pi, side))
            brush = max(
                1, round(np.random.randint(self.widths[0], self.widths[1] + 1) * side / 256)
            )
            end = start + length * np.array([np.cos(angle), np.sin(angle)])
            end = end.clip(0, (width - 1, height - 1))
            canvas = Image.new('1', (width, height))
            pen = ImageDraw.Draw(canvas)
            pen.line((*start, *end), 1, brush)
            for x, y in (start, end):
                pen.ellipse((x - brush / 2, y - brush / 2, x + brush / 2, y + brush / 2), 1)
            canvas.putpixel((int(start[0]), int(start[1])), 1)
            yield np.asarray(canvas), start
            start = end
