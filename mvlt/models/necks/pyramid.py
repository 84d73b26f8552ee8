"""Parts of the decoders over all four stages."""

from collections.abc import Sequence
from typing import Any

from torch import nn

PYRAMID = (4, 8, 16, 32)  # image pixels along a cell of each stage's map


def check_pyramid(neck: Any, strides: Sequence[int]) -> None:
    """Raise ValueError for a backbone without maps of four stages."""
    if tuple(strides) != PYRAMID:
        raise ValueError(
            f'{type(neck).__name__} needs maps of four stages (strides {PYRAMID}), the backbone '
            f'gives {tuple(strides)}: take a pyramid (PVTVL, PVTV2VL), model.neck.type='
            'LightDecoder, or set model.neck and model.heads.mir to None'
        )


def conv(in_channels: int, out_channels: int, *after: nn.Module) -> nn.Sequential:
    """A 3 x 3 convolution without bias, BatchNorm, and the layers ``after``."""
    layer = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out_channels), *after)
