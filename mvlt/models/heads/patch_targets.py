"""Features of image patches from an untrained or frozen network (paper Fig. 1, top).

Legend: B batch, H, W image sides, s pixels along a patch, D size of a feature.
"""

import math

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import nn

from mvlt.registry import MODELS

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


@MODELS.register_module()
class HOGTargets(BaseModule):
    """Histograms of oriented gradients (Dalal and Triggs, 2005), without weights.

    According to MaskFeat (Wei et al., 2022) they are as good as features of trained networks. Each
    colour has 9 unsigned directions, weighted by the gradient's length, summed over a patch and
    normalised: D = 27.

    Args:
        stride: s.
    """

    bins = 9  # directions in half a turn
    channels = 3 * bins

    def __init__(self, stride: int = 8, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.stride = stride

    @torch.no_grad()
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Float (B, 3, H, W), 0 to 1 -> (B, D, H / s, W / s)."""
        padded = F.pad(image.float(), (1, 1, 1, 1), mode='replicate')
        across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
        down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
        turn = torch.atan2(down, across) / math.pi  # -1 to 1; half a turn is 1
        bins = (turn * self.bins).floor().long() % self.bins
        length = torch.hypot(across, down)
        votes = length.new_zeros(*image.shape[:2], self.bins, *image.shape[2:])
        votes.scatter_(2, bins[:, :, None], length[:, :, None])
        cells = F.avg_pool2d(votes.flatten(0, 1), self.stride)
        return F.normalize(cells, dim=1).unflatten(0, image.shape[:2]).flatten(1, 2)


@MODELS.register_module()
class BackboneTargets(BaseModule):
    """The last map of a frozen image backbone, as FashionBERT and Kaleido-BERT use.

    Args:
        backbone: e.g. ``dict(type='mmpretrain.ResNet', depth=50, out_indices=(2,),
            init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone'))``, for images
            normalised as ImageNet's.
        channels: D.
        stride: s, image pixels along a cell of that map.
    """

    def __init__(
        self, backbone: dict, channels: int, stride: int, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.channels = channels
        self.stride = stride
        with torch.device('cpu'):  # some backbones read values while they are built
            self.backbone: nn.Module = MODELS.build(backbone).requires_grad_(False)
        self.register_buffer('mean', torch.tensor(_MEAN).view(3, 1, 1), False)
        self.register_buffer('std', torch.tensor(_STD).view(3, 1, 1), False)

    def train(self, mode: bool = True) -> 'BackboneTargets':
        """Stay in evaluation mode: BatchNorm statistics would drift."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Float (B, 3, H, W), 0 to 1 -> (B, D, H / s, W / s).

        Raises:
            ValueError: the backbone's map has another size.
        """
        maps = self.backbone((image.float() - self.mean) / self.std)
        features = maps[-1] if isinstance(maps, list | tuple) else maps
        height, width = image.shape[2:]
        expected = (len(image), self.channels, height // self.stride, width // self.stride)
        if features.shape != expected:
            raise ValueError(
                f'BackboneTargets: the backbone gives {tuple(features.shape)}, channels and stride '
                f'say {expected}: correct them'
            )
        return features.float()
