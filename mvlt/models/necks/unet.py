"""The image decoder of the paper: a U-Net over all four stages (Sec. 3.2, Objective 1).

Legend: B batch, C_i channels of stage i.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import nn

from mvlt.models.necks.pyramid import PYRAMID, check_pyramid, conv
from mvlt.registry import MODELS


@MODELS.register_module()
class UNet(BaseModule):
    """Four-level U-Net decoder: up-convolve, join with the map of the stage before, convolve.

    The paper names "a standard four-level U-Net decoder" and no widths. Each level has two 3 x 3
    convolutions, BatchNorm and ReLU (Ronneberger et al., 2015, padded).

    Args:
        in_channels: C_1..C_4 of the backbone.
        in_strides: image pixels along a cell of its maps; 4, 8, 16, 32.
        channels: widths of the three levels, of stage 1 to 3; None = C_1..C_3.
    """

    stride = 4  # image pixels along a cell of the returned map

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int] = PYRAMID,
        channels: Sequence[int] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_pyramid(self, in_strides)
        widths = tuple(channels or in_channels[:-1])
        if len(widths) != len(in_channels) - 1:
            raise ValueError(f'neck.channels={channels}: give a width for each of stages 1 to 3')
        self.out_channels = widths[0]
        self.ups = nn.ModuleList()
        self.joins = nn.ModuleList()
        deep = in_channels[-1]
        for skip, width in zip(in_channels[-2::-1], widths[::-1]):
            self.ups.append(nn.ConvTranspose2d(deep, width, 2, 2))
            layers = (conv(dims, width, nn.ReLU(inplace=True)) for dims in (width + skip, width))
            self.joins.append(nn.Sequential(*layers))
            deep = width

    def forward(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Four maps (B, C_i, H / 2^(i+1), W / 2^(i+1)) -> (B, C_1, H / 4, W / 4)."""
        x = images[-1]
        for up, join, skip in zip(self.ups, self.joins, images[-2::-1]):
            x = join(torch.cat((up(x), skip), dim=1))
        return x
