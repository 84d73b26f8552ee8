"""The image decoder of the released code, over stages 2 to 4.

Legend: B batch, C_i channels of stage i, W width of the decoder.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import nn

from mvlt.models.necks.pyramid import PYRAMID, check_pyramid, conv
from mvlt.registry import MODELS


@MODELS.register_module()
class PartialDecoder(BaseModule):
    """Cascaded partial decoder (Wu et al., 2019): deep maps gate shallow ones by multiplication.

    The paper describes a U-Net over four stages; the released code has this decoder, without stage
    1 and at 1/8 (fidelity point 6). Its head upsamples bilinearly:
    ``heads.mir=dict(type=MIRHead, upsample='bilinear')``.

    Args:
        in_channels: C_1..C_4 of the backbone; C_1 is not used.
        in_strides: image pixels along a cell of its maps; 4, 8, 16, 32.
        channels: W.
    """

    stride = 8  # image pixels along a cell of the returned map

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int] = PYRAMID,
        channels: int = 64,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_pyramid(self, in_strides)
        self.out_channels = 3 * channels
        self.reductions = nn.ModuleList(conv(dims, channels) for dims in in_channels[1:])
        self.up = nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)
        self.gate_mid = conv(channels, channels)
        self.gate_low_by_mid = conv(channels, channels)
        self.gate_low = conv(channels, channels)
        self.lift_high = conv(channels, channels)
        self.lift_mid = conv(2 * channels, 2 * channels)
        self.join_mid = conv(2 * channels, 2 * channels)
        self.join_low = conv(3 * channels, 3 * channels)
        self.smooth = conv(3 * channels, 3 * channels)

    def forward(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Four maps (B, C_i, H / 2^(i+1), W / 2^(i+1)) -> (B, 3 W, H / 8, W / 8)."""
        low, mid, high = (reduce(image) for reduce, image in zip(self.reductions, images[1:]))
        gated_mid = self.gate_mid(self.up(high)) * mid
        gated_low = self.gate_low_by_mid(self.up(mid)) * self.gate_low(self.up(gated_mid)) * low
        joined_mid = self.join_mid(torch.cat((gated_mid, self.lift_high(self.up(high))), 1))
        joined_low = self.join_low(torch.cat((gated_low, self.lift_mid(self.up(joined_mid))), 1))
        return self.smooth(joined_low)
