"""From a mask of units, or of pixels, to a mask of pixels."""

from collections.abc import Sequence

import torch


def mask_to_pixels(mask: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Bool (B, H / u, W / u) -> bool (B, 1, H, W); True = hidden.

    Raises:
        ValueError: the units do not tile the image.
    """
    height, width = size
    rows, columns = mask.shape[1:]
    if height % rows or width % columns or height // rows != width // columns:
        raise ValueError(
            f'a mask of {rows} x {columns} square units does not tile an image of {height} x '
            f'{width} pixels: the mask must be drawn after the last resizing'
        )
    unit = height // rows
    return mask.repeat_interleave(unit, 1).repeat_interleave(unit, 2)[:, None]
