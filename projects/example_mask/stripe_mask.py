"""A mask outside the library: whole rows of units."""

import numpy as np

from mvlt.datasets import UnitMask
from mvlt.registry import TRANSFORMS


@TRANSFORMS.register_module()
class StripeMask(UnitMask):
    """Random rows of units; the last row is cut to reach the exact count."""

    def draw(self, rows: int, columns: int, count: int) -> np.ndarray:
        """See :meth:`mvlt.datasets.UnitMask.draw`."""
        mask = np.zeros((rows, columns), dtype=bool)
        order = np.random.permutation(rows)
        full, rest = divmod(count, columns)
        mask[order[:full]] = True
        if rest:
            mask[order[full], :rest] = True
        return mask
