"""What decoders over all four stages ask of a backbone."""

from collections.abc import Sequence
from typing import Any

from torch import nn

PYRAMID = (4, 8, 16, 32)  # image pixels a cell of each stage's map


def check_pyramid(neck: Any, strides: Sequence[int]) -> None:
    """Refuse a backbone without maps of four stages.

    Raises:
        ValueError: its maps have other ``strides``.
    """
    if tuple(strides) != PYRAMID:
        raise ValueError(
            f'{type(neck).__name__} rebuilds from maps of four stages (strides {PYRAMID}), the '
            f'backbone gives {tuple(strides)}: take a pyramid (PVTVL, PVTV2VL), model.neck.type='
            'LightDecoder, or set model.neck and model.heads.mir to None'
        )


def conv(in_channels: int, out_channels: int, *after: nn.Module) -> nn.Sequential:
    """A 3 x 3 convolution without bias, BatchNorm, and what comes ``after``."""
    layer = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out_channels), *after)
