"""What is behind the hidden parts of a picture?

Legend: H, W sides of the given picture; u side of what the model was trained to find hidden, in its
own pixels: a masking unit, or 1 where it was trained on strokes or squares of pixels.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from mvlt.apis.base import PairInferencer
from mvlt.checkpoints.description import ModelDescription
from mvlt.datasets import (
    CentreMask,
    GridMask,
    ImageMask,
    Pipeline,
    RandomGridMask,
    StrokeMask,
    UnitMask,
    UnitStrokeMask,
)
from mvlt.datasets.inputs import Pictures, Texts, make_pairs, to_array
from mvlt.randomness import random_of
from mvlt.registry import TRANSFORMS
from mvlt.structures import PairDataSample

Style = Literal['random', 'grid', 'stroke', 'centre']
Box = tuple[float, float, float, float]
_DRAWING = Lock()  # random numbers are the process's
_STYLES: dict[str, type[ImageMask]] = dict(
    random=RandomGridMask, grid=GridMask, stroke=UnitStrokeMask, centre=CentreMask
)


class ImageCompletionInferencer(PairInferencer):
    """Pictures with hidden parts filled in; see :class:`PairInferencer`.

    A model that crops pictures before it reads them gives the cropped ones back, in its own size,
    and takes masks and boxes in that size.

    Examples:
        >>> result = ImageCompletionInferencer('MODEL')('shoe.jpg', 'a red shoe', mask='stroke')
        >>> Image.fromarray(result['predictions'][0]['image']).save('completed.png')
    """

    @classmethod
    def heads_of(cls, description: ModelDescription) -> list[str]:
        """Those that give pictures."""
        if not description.reconstructing:
            raise ValueError(description.lacks('head that rebuilds pictures, e.g. MIRHead as mir'))
        return description.reconstructing

    def __call__(  # type: ignore[override]
        self,
        images: Pictures,
        texts: Texts | None = None,
        mask: Style | np.ndarray | Sequence[np.ndarray] | None = 'random',
        ratio: float = 0.5,
        box: Box | None = None,
        seed: int = 0,
        return_datasamples: bool = False,
        batch_size: int = 32,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Completed pictures, a dict each under ``predictions``.

        Args:
            images, texts, return_datasamples, batch_size, kwargs: as of :class:`PairInferencer`.
            mask: a style of Fig. 8; or bool (H, W), True = hide, for all pictures or a list of one
                each: the model then sees no u x u pixels that such a pixel touches. A model that
                was trained on pixels gets 'stroke' as free-form strokes, others in whole units.
            ratio: share of the picture that a style hides, 0 to 1.
            box: hide this rectangle instead: left, top, right, bottom in pixels of the picture.
            seed: of the styles 'random' and 'stroke'.

        Returns:
            ``image`` uint8 (H, W, 3), what was visible and, in its gaps, what the model expects;
            ``mask`` bool (H, W), True = was hidden; ``reconstruction`` uint8, the whole picture as
            the model draws it, in the model's size.

        Raises:
            ValueError: an unknown style, a mask of another size than its picture, an empty box.
        """
        pairs = make_pairs(images, texts)
        arrays = [(to_array(image, place), text) for place, (image, text) in enumerate(pairs)]
        if self._frame is not None:
            arrays = [(self._frame(dict(img=image))['img'], text) for image, text in arrays]
        hidden = [
            _hidden(place, image, mask, box, len(arrays)) for place, (image, _) in enumerate(arrays)
        ]
        masks = [
            self._draw(str(mask), ratio, (seed, place)) if pixels is None else self._units(pixels)
            for place, pixels in enumerate(hidden)
        ]
        inputs = [(image, text, units) for (image, text), units in zip(arrays, masks)]
        result = self.infer(inputs, True, batch_size, **kwargs)
        if not return_datasamples:
            result['predictions'] = [
                self.plain((image, pixels, sample))
                for (image, _), pixels, sample in zip(arrays, hidden, result['predictions'])
            ]
        return result

    def _init_pipeline(self, cfg: Any) -> Pipeline:
        """Cropping, where the model crops, is a step of its own: masks follow it.

        What cuts the middle out, for products to be as large as in training, is left out: a whole
        picture is completed.
        """
        cfg = {name: one for name, one in cfg.items() if one['type'] != 'CenterCropRatio'}
        reading = {name: one for name, one in cfg.items() if one['type'] != 'Tokenize'}
        frame = Pipeline(reading)
        seen = frame(dict(img=np.zeros((256, 256, 3), np.uint8)))['img']
        self._height, self._width = seen.shape[:2]
        if all(one['type'] in ('LoadImage', 'Resize') for one in reading.values()):
            self._frame = None
            return super()._init_pipeline(cfg)
        self._frame = frame
        return super()._init_pipeline({name: cfg[name] for name in cfg if name not in reading})

    def record(self, pair: Any, index: int) -> dict[str, Any]:
        """(picture, text, hidden units) as the pipeline takes it."""
        image, text, units = pair
        return dict(super().record((image, text), index), image_mask=units)

    def _style(self, name: str, ratio: float) -> ImageMask:
        if name not in _STYLES:
            raise ValueError(f"mask='{name}'; legal: {', '.join(get_args(Style))}, or an array")
        trained = self.description.mask or {}
        unit = {key: trained[key] for key in ('alpha', 'patch_size') if key in trained}
        pixels = name == 'stroke' and self._grain == 1
        return (StrokeMask if pixels else _STYLES[name])(ratio=ratio, **unit)

    @property
    def _grain(self) -> int:
        """u."""
        trained = self.description.mask or dict(type='RandomGridMask')
        style = TRANSFORMS.build(dict(trained))
        return style.unit if isinstance(style, UnitMask) else 1

    def _draw(self, style: str, ratio: float, key: tuple[int, int]) -> np.ndarray:
        blank = np.empty((self._height, self._width, 3), np.uint8)
        with _DRAWING, random_of(key):
            return self._style(style, ratio)(dict(img=blank))['image_mask']

    def _units(self, pixels: np.ndarray) -> np.ndarray:
        """What a hidden pixel touches of the model's picture, bool (its H / u, its W / u)."""
        # hidden pixels above and left of each corner; a difference counts those within
        total = np.pad(pixels.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        for axis, side in enumerate((self._height, self._width)):
            count, own = side // self._grain, pixels.shape[axis]
            first = np.arange(count) * own // count
            last = -(-np.arange(1, count + 1) * own // count)
            total = total.take(last, axis) - total.take(first, axis)
        return total > 0

    def rows(self, item: Any, pred: PairDataSample) -> tuple:
        """What the model saw, what it draws, what was there."""
        from mvlt.visualization.sheet import Cell, Row, hide

        seen = pred.pixels.cpu().numpy().transpose(1, 2, 0)
        cells = (
            Cell(hide(seen, pred.image_mask), item[1]),
            Cell(_pixels(pred), 'rebuilt'),
            Cell(seen, 'original'),
        )
        return (Row('', cells),)

    def plain(self, pred: Any) -> dict[str, np.ndarray]:
        """``image``, ``mask``, ``reconstruction``."""
        image, hidden, sample = pred
        height, width = image.shape[:2]
        drawn = _pixels(sample)
        if hidden is None:
            units = Image.fromarray(sample.image_mask.cpu().numpy())
            hidden = np.asarray(units.resize((width, height), Image.Resampling.NEAREST))
        large = np.asarray(Image.fromarray(drawn).resize((width, height), Image.Resampling.BICUBIC))
        return dict(
            image=np.where(hidden[..., None], large, image), mask=hidden, reconstruction=drawn
        )


def _pixels(sample: PairDataSample) -> np.ndarray:
    from mvlt.visualization.sheet import to_array as drawn

    return drawn(sample.reconstruction)


def _hidden(
    place: int, image: np.ndarray, mask: Any, box: Box | None, count: int
) -> np.ndarray | None:
    """The pixels to hide, bool (H, W); None where a style decides."""
    height, width = image.shape[:2]
    if box is not None:
        left, top, right, bottom = (round(value) for value in box)
        hidden = np.zeros((height, width), dtype=bool)
        hidden[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
        if not hidden.any():
            raise ValueError(f'box={box}: nothing of picture {place} ({width} x {height}) is in it')
        return hidden
    if isinstance(mask, str):
        return None
    if isinstance(mask, list | tuple):
        if len(mask) != count:
            raise ValueError(f'{len(mask)} masks for {count} pictures')
        mask = mask[place]
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != (height, width):
        raise ValueError(
            f'the mask of picture {place} is {mask.dtype} {mask.shape}; bool ({height}, {width}), '
            'the size of the picture, is needed'
        )
    return mask
