"""Cuts the empty margin off product pictures."""

import numpy as np
from mmcv.transforms import BaseTransform

from mvlt.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CropToProduct(BaseTransform):
    """``img`` -> its part inside the box of pixels that are not white (fidelity point 14).

    The released code does it before it resizes, without keeping the aspect. A picture that is white
    all over stays as it is (there the released code fails).

    Args:
        threshold: a pixel is white when each of R, G and B is at least this, 0 to 255. The released
            code's is 255: exactly white.
    """

    def __init__(self, threshold: int = 255) -> None:
        if not 0 <= threshold <= 255:
            raise ValueError(f'CropToProduct.threshold={threshold}: 0 to 255 is needed')
        self.threshold = threshold

    def transform(self, results: dict) -> dict:
        """Crop ``img`` (H, W, 3)."""
        seen = (results['img'] < self.threshold).any(axis=2)
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        if len(rows):
            results['img'] = results['img'][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            results['img_shape'] = results['img'].shape[:2]
        return results
