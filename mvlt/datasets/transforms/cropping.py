"""Crops of product images, and the resizing that ends in a crop."""

from typing import Literal

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from mvlt.registry import TRANSFORMS


def _crop(results: dict, top: int, bottom: int, left: int, right: int) -> None:
    results['img'] = results['img'][top:bottom, left:right]
    results['img_shape'] = results['img'].shape[:2]


@TRANSFORMS.register_module()
class CropToForeground(BaseTransform):
    """Crop ``img`` to its foreground, as the released code (fidelity point 14).

    The foreground is the black dots of the image dithered to one bit (Pillow's ``convert('1')``:
    luminance, Floyd-Steinberg). The box goes from the first to the last row and column with a dot,
    the last ones excluded. The released code crops before it resizes, without keeping the aspect.
    An image without dots, or with dots in one row or column only, stays as it is; the released
    code fails there.
    """

    def transform(self, results: dict) -> dict:
        """Crop ``img`` uint8 (H, W, 3)."""
        dots = ~np.asarray(Image.fromarray(results['img']).convert('1'))
        rows, columns = np.flatnonzero(dots.any(axis=1)), np.flatnonzero(dots.any(axis=0))
        if len(rows) > 1 and len(columns) > 1:
            _crop(results, rows[0], rows[-1], columns[0], columns[-1])
        return results


@TRANSFORMS.register_module()
class CenterCropRatio(BaseTransform):
    """Crop ``img`` to a share of each side, around its centre.

    Use it for inference with models trained on random crops: products then have the size that they
    had in training. docs/results/ has the effect on dual encoders.

    Args:
        share: of height and width, above 0, at most 1.
    """

    def __init__(self, share: float) -> None:
        if not 0 < share <= 1:
            raise ValueError(f'CenterCropRatio.share={share}: above 0, 1 at most')
        self.share = share

    def transform(self, results: dict) -> dict:
        """Crop ``img`` uint8 (H, W, 3)."""
        height, width = results['img'].shape[:2]
        rows, columns = (max(1, round(side * self.share)) for side in (height, width))
        top, left = (height - rows) // 2, (width - columns) // 2
        _crop(results, top, top + rows, left, left + columns)
        return results


@TRANSFORMS.register_module()
class ResizeShortEdge(BaseTransform):
    """Resize ``img`` to a shorter side and crop the central square, as CLIP reads images.

    Args:
        size: the shorter side.
        crop_size: side of the square, ``size`` at most; None = ``size``.
        interpolation: Pillow's filter, e.g. 'bicubic'.
        rounding: of a crop's offset: 'down' as transformers, 'even' as torchvision and open_clip.
    """

    def __init__(
        self,
        size: int,
        crop_size: int | None = None,
        interpolation: str = 'bicubic',
        rounding: Literal['down', 'even'] = 'down',
    ) -> None:
        self.size = size
        self.crop_size = size if crop_size is None else crop_size
        if not 0 < self.crop_size <= size:
            raise ValueError(
                f'ResizeShortEdge.crop_size={self.crop_size}: 1 to size, which is {size}'
            )
        if rounding not in ('down', 'even'):
            raise ValueError(f"ResizeShortEdge.rounding='{rounding}'; legal: 'down', 'even'")
        if interpolation.upper() not in Image.Resampling.__members__:
            raise ValueError(
                f"ResizeShortEdge.interpolation='{interpolation}'; legal: "
                f'{", ".join(Image.Resampling.__members__).lower()}'
            )
        self.interpolation = Image.Resampling[interpolation.upper()]
        self.rounding = rounding

    def transform(self, results: dict) -> dict:
        """Change ``img`` uint8 (H, W, 3) to (crop_size, crop_size, 3)."""
        height, width = results['img'].shape[:2]
        short = min(height, width)
        height, width = (int(self.size * side / short) for side in (height, width))
        image = Image.fromarray(results['img']).resize((width, height), self.interpolation)
        results['img'], crop = np.asarray(image), self.crop_size
        offsets = ((side - crop) / 2 for side in (height, width))
        top, left = (round(x) if self.rounding == 'even' else int(x) for x in offsets)
        _crop(results, top, top + crop, left, left + crop)
        return results
