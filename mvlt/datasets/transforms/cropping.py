"""Cuts margins off product pictures."""

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from mvlt.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CropToForeground(BaseTransform):
    """``img`` -> its part inside the box of its dots, as the released code (fidelity point 14).

    The picture is dithered to one bit (Pillow's ``convert('1')``: luminance, Floyd-Steinberg). The
    box goes from the first to the last row and column with a black dot, the last ones left out. The
    released code does it before it resizes, without keeping the aspect. A picture with no dot, or
    with dots in one row or column only, stays as it is: there the released code fails.
    """

    def transform(self, results: dict) -> dict:
        """Crop ``img`` uint8 (H, W, 3)."""
        dots = ~np.asarray(Image.fromarray(results['img']).convert('1'))
        rows, columns = np.flatnonzero(dots.any(axis=1)), np.flatnonzero(dots.any(axis=0))
        if len(rows) > 1 and len(columns) > 1:
            results['img'] = results['img'][rows[0] : rows[-1], columns[0] : columns[-1]]
            results['img_shape'] = results['img'].shape[:2]
        return results


@TRANSFORMS.register_module()
class CenterCropRatio(BaseTransform):
    """``img`` -> its middle, so much of each side.

    For pictures in use where training drew crops: products are then as large as they were in
    training. What that is worth on towers: docs/results/.

    Args:
        share: of height and of width, above 0, 1 at most.

    Raises:
        ValueError: another share.
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
        results['img'] = results['img'][top : top + rows, left : left + columns]
        results['img_shape'] = results['img'].shape[:2]
        return results
