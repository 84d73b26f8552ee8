"""Cuts the empty margin off product pictures."""

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from mvlt.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CropToProduct(BaseTransform):
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
