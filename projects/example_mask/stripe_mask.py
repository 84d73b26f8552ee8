"""A mask that the library does not know: whole rows of units."""

import numpy as np

from mvlt.datasets import UnitMask
from mvlt.registry import TRANSFORMS


@TRANSFORMS.register_module()
class StripeMask(UnitMask):
    """Rows of units, drawn at random; the last row in part where the count asks for it."""

    def draw(self, rows: int, columns: int, count: int) -> np.ndarray:
        """See :meth:`mvlt.datasets.UnitMask.draw`."""
        mask = np.zeros((rows, columns), dtype=bool)
        order = np.random.permutation(rows)
        full, rest = divmod(count, columns)
        mask[order[:full]] = True
        if rest:
            mask[order[full], :rest] = True
        return mask
