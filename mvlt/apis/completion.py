"""Inpaint the masked parts of images.

Legend: H, W sides of the given image; u side of a masking unit in pixels of the model's input, 1 of
a model that was trained with masks of single pixels.
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
from mvlt.datasets.inputs import ImageInputs, Texts, make_pairs, to_array
from mvlt.randomness import random_of
from mvlt.registry import TRANSFORMS
from mvlt.structures import PairDataSample

Style = Literal['random', 'grid', 'stroke', 'centre']
Box = tuple[float, float, float, float]
_LOCK = Lock()  # threads share the random state of the process
_STYLES: dict[str, type[ImageMask]] = dict(
    random=RandomGridMask, grid=GridMask, stroke=UnitStrokeMask, centre=CentreMask
)


class ImageCompletionInferencer(PairInferencer):
    """Inpaints the masked parts of images; see :class:`PairInferencer`.

    For a model that crops, images, masks and boxes have the size of the crop.

    Examples:
        >>> result = ImageCompletionInferencer('MODEL')('shoe.jpg', 'a red shoe', mask='stroke')
        >>> Image.fromarray(result['predictions'][0]['image']).save('completed.png')
    """

    @classmethod
    def heads_of(cls, description: ModelDescription) -> list[str]:
        """The reconstructing heads; ValueError if there is none."""
        if not description.reconstructing:
            raise ValueError(
                description.lacks('head that reconstructs images, e.g. MIRHead as mir')
            )
        return description.reconstructing

    def __call__(  # type: ignore[override]
        self,
        images: ImageInputs,
        texts: Texts | None = None,
        mask: Style | np.ndarray | Sequence[np.ndarray] | None = 'random',
        ratio: float = 0.5,
        box: Box | None = None,
        seed: int = 0,
        return_datasamples: bool = False,
        batch_size: int = 32,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Completed images, a dict each under ``predictions``.

        Args:
            images, texts, return_datasamples, batch_size, kwargs: see :class:`PairInferencer`.
            mask: a style of Fig. 8; or bool (H, W), True = masked, for all images or a list with
                one for each image. The model masks every unit of u x u pixels that the mask
                touches; with u = 1 'stroke' is a free-form stroke.
            ratio: share of the image that a style masks, 0 to 1.
            box: mask this rectangle instead: left, top, right, bottom in pixels of the image.
            seed: of the styles 'random' and 'stroke'.

        Returns:
            ``image`` uint8 (H, W, 3), the input with its masked parts inpainted; ``mask`` bool
            (H, W), True = masked; ``reconstruction`` uint8, the model's output, in its size.

        Raises:
            ValueError: an unknown style, a mask of another size than its image, an empty box.
        """
        pairs = make_pairs(images, texts)
        arrays = [(to_array(image, i), text) for i, (image, text) in enumerate(pairs)]
        if self._crop is not None:
            arrays = [(self._crop(dict(img=image))['img'], text) for image, text in arrays]
        masks = [
            _pixel_mask(i, image, mask, box, len(arrays)) for i, (image, _) in enumerate(arrays)
        ]
        unit_masks = [
            self._sample(str(mask), ratio, (seed, i)) if pixels is None else self._units(pixels)
            for i, pixels in enumerate(masks)
        ]
        inputs = [(image, text, units) for (image, text), units in zip(arrays, unit_masks)]
        result = self.infer(inputs, True, batch_size, **kwargs)
        if not return_datasamples:
            result['predictions'] = [
                self.plain((image, pixels, sample))
                for (image, _), pixels, sample in zip(arrays, masks, result['predictions'])
            ]
        return result

    def _init_pipeline(self, cfg: Any) -> Pipeline:
        """Split off the steps of a model that crops: masks are applied after them.

        CenterCropRatio is dropped, so that whole images are completed.
        """
        cfg = {name: step for name, step in cfg.items() if step['type'] != 'CenterCropRatio'}
        reading = {name: step for name, step in cfg.items() if step['type'] != 'Tokenize'}
        crop = Pipeline(reading)
        image = crop(dict(img=np.zeros((256, 256, 3), np.uint8)))['img']
        self._height, self._width = image.shape[:2]
        if all(step['type'] in ('LoadImage', 'Resize') for step in reading.values()):
            self._crop = None
            return super()._init_pipeline(cfg)
        self._crop = crop
        return super()._init_pipeline({name: cfg[name] for name in cfg if name not in reading})

    def record(self, pair: Any, index: int) -> dict[str, Any]:
        """The pipeline's record for an (image, text, mask of units) input."""
        image, text, units = pair
        return dict(super().record((image, text), index), image_mask=units)

    def _style(self, name: str, ratio: float) -> ImageMask:
        if name not in _STYLES:
            raise ValueError(f"mask='{name}'; legal: {', '.join(get_args(Style))}, or an array")
        trained = self.description.mask or {}
        unit = {key: trained[key] for key in ('alpha', 'patch_size') if key in trained}
        pixels = name == 'stroke' and self._unit_size == 1
        return (StrokeMask if pixels else _STYLES[name])(ratio=ratio, **unit)

    @property
    def _unit_size(self) -> int:
        """u."""
        trained = self.description.mask or dict(type='RandomGridMask')
        style = TRANSFORMS.build(dict(trained))
        return style.unit if isinstance(style, UnitMask) else 1

    def _sample(self, style: str, ratio: float, key: tuple[int, int]) -> np.ndarray:
        """A mask of units of a style, bool (h / u, w / u) with h, w sides of the model's input."""
        blank = np.empty((self._height, self._width, 3), np.uint8)
        with _LOCK, random_of(key):
            return self._style(style, ratio)(dict(img=blank))['image_mask']

    def _units(self, pixels: np.ndarray) -> np.ndarray:
        """The units that a mask of pixels touches, bool (h / u, w / u)."""
        # an integral image: masked pixels above and left of each corner
        total = np.pad(pixels.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        for axis, side in enumerate((self._height, self._width)):
            count, length = side // self._unit_size, pixels.shape[axis]
            first = np.arange(count) * length // count
            last = -(-np.arange(1, count + 1) * length // count)
            total = total.take(last, axis) - total.take(first, axis)
        return total > 0

    def rows(self, item: Any, pred: PairDataSample) -> tuple:
        """Masked input, reconstruction and original."""
        from mvlt.visualization.sheet import Cell, Row, hide

        original = pred.pixels.cpu().numpy().transpose(1, 2, 0)
        cells = (
            Cell(hide(original, pred.image_mask), item[1]),
            Cell(_reconstruction(pred), 'reconstruction'),
            Cell(original, 'original'),
        )
        return (Row('', cells),)

    def plain(self, pred: Any) -> dict[str, np.ndarray]:
        """``image``, ``mask``, ``reconstruction``."""
        image, mask, sample = pred
        size = (image.shape[1], image.shape[0])
        output = _reconstruction(sample)
        if mask is None:
            units = Image.fromarray(sample.image_mask.cpu().numpy())
            mask = np.asarray(units.resize(size, Image.Resampling.NEAREST))
        resized = np.asarray(Image.fromarray(output).resize(size, Image.Resampling.BICUBIC))
        completed = np.where(mask[..., None], resized, image)
        return dict(image=completed, mask=mask, reconstruction=output)


def _reconstruction(sample: PairDataSample) -> np.ndarray:
    from mvlt.visualization.sheet import to_array as to_pixels

    return to_pixels(sample.reconstruction)


def _pixel_mask(
    index: int, image: np.ndarray, mask: Any, box: Box | None, count: int
) -> np.ndarray | None:
    """The masked pixels of an image, bool (H, W); None for a style."""
    height, width = image.shape[:2]
    if box is not None:
        left, top, right, bottom = (round(value) for value in box)
        pixels = np.zeros((height, width), dtype=bool)
        pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
        if not pixels.any():
            raise ValueError(f'box={box} lies outside image {index} ({width} x {height})')
        return pixels
    if isinstance(mask, str):
        return None
    if isinstance(mask, list | tuple):
        if len(mask) != count:
            raise ValueError(f'{len(mask)} masks for {count} images: give one for each image')
        mask = mask[index]
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != (height, width):
        raise ValueError(
            f'the mask of image {index} is {mask.dtype} {mask.shape}; give the size of the image, '
            f'bool ({height}, {width})'
        )
    return mask
