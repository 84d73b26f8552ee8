"""Masked image reconstruction, Objective 1 (paper Eq. 5).

Legend: B batch, C channels of the neck, H, W image sides, u side of a masking unit.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from mvlt.models.data_preprocessor import mask_to_pixels
from mvlt.models.features import Features
from mvlt.models.heads.base import Head, mean_count
from mvlt.registry import MODELS
from mvlt.structures import Batch


@MODELS.register_module()
class MIRHead(Head):
    """The neck's map -> RGB pixels, nominally 0 to 1.

    The paper leaves the step from 1/4 to full size open; here a 1 x 1 convolution predicts the
    stride x stride pixels of each cell. The released code predicts one colour for each cell and
    upsamples bilinearly.

    Args:
        decoded_channels: C of the neck.
        stride: image pixels along a cell of the neck's map.
        upsample: 'shuffle' (each cell predicts its pixels) or 'bilinear' (the released code's).
        loss_on: 'image' computes the loss over all pixels (Eq. 5), 'masked' over masked pixels.
        loss_weight: w_1 of Eq. 8.
    """

    reads = ('decoded',)
    gives = 'pixels'
    takes = ('decoded_channels', 'stride')

    def __init__(
        self,
        decoded_channels: int,
        stride: int,
        upsample: Literal['shuffle', 'bilinear'] = 'shuffle',
        loss_on: Literal['image', 'masked'] = 'image',
        loss_weight: float = 10.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if loss_on not in ('image', 'masked'):
            raise ValueError(f"MIRHead.loss_on='{loss_on}'; legal: 'image', 'masked'")
        if upsample not in ('shuffle', 'bilinear'):
            raise ValueError(f"MIRHead.upsample='{upsample}'; legal: 'shuffle', 'bilinear'")
        self.loss_on = loss_on
        self.loss_weight = loss_weight
        cell = stride**2 if upsample == 'shuffle' else 1
        self.pixels = nn.Conv2d(decoded_channels, 3 * cell, 1)
        self.spread: nn.Module = nn.PixelShuffle(stride)
        if upsample == 'bilinear':
            self.spread = nn.Upsample(scale_factor=stride, mode='bilinear', align_corners=True)

    def forward(self, *, decoded: torch.Tensor) -> torch.Tensor:
        """(B, C, H / stride, W / stride) -> (B, 3, H, W)."""
        return self.spread(self.pixels(decoded))

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted smooth-L1 (beta 1, Eq. 5), mean over pixels and colours."""
        image, target = self(decoded=features.decoded).float(), batch.pixels
        if self.loss_on == 'image' or batch.image_mask is None:
            return dict(loss=self.loss_weight * F.smooth_l1_loss(image, target))
        masked = mask_to_pixels(batch.image_mask, image.shape[2:])
        error = F.smooth_l1_loss(image, target, reduction='none') * masked
        return dict(loss=self.loss_weight * error.sum() / (3 * mean_count(masked)))

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """``reconstruction``, float32 (B, 3, H, W), clipped to 0..1, and the input ``pixels``."""
        image = self(decoded=features.decoded).float().clamp(0, 1)
        return dict(reconstruction=image, pixels=batch.inputs['pixels'])
