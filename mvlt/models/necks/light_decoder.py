"""An image decoder for backbones with one map.

Legend: B batch, C channels of the last stage, s image pixels along a cell of its map.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import nn

from mvlt.registry import MODELS


@MODELS.register_module()
class LightDecoder(BaseModule):
    """Two 3 x 3 convolutions over the last map; the head predicts s x s pixels of each cell.

    The paper reconstructs from a pyramid only. According to SimMIM (Xie et al., 2022) one layer is
    enough for a single scale, so ``ViTVL`` can learn MIR, too.

    Args:
        in_channels, in_strides: of the backbone's maps; the last is used.
        channels: of the convolutions; None = C.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        channels: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.stride = in_strides[-1]
        self.out_channels = channels or in_channels[-1]
        self.layers = nn.Sequential()
        for dims in (in_channels[-1], self.out_channels):
            self.layers += nn.Sequential(
                nn.Conv2d(dims, self.out_channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(self.out_channels),
                nn.ReLU(inplace=True),
            )

    def forward(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps, the last one (B, C, H / s, W / s) -> (B, channels, H / s, W / s)."""
        return self.layers(images[-1])
