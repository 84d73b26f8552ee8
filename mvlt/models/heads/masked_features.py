"""Feature-level alternatives to MIR (Fig. 1, top).

They replace MIR (``model.heads.mir``) and use the same decoded map and masks, for a comparison of
pixels, features and classes as targets.

Legend: B batch, C channels of the neck, H, W image sides, s pixels along a patch of the targets, D
size of a feature, K clusters, u side of a masking unit.
"""

from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mvlt.models.data_preprocessor import mask_to_pixels
from mvlt.models.features import Features
from mvlt.models.heads.base import Head, mean_count
from mvlt.registry import MODELS
from mvlt.structures import Batch


class MaskedPatchHead(Head):
    """Predicts targets of masked patches; a subclass defines targets and loss.

    A patch is masked if at least half of its pixels are.

    Args:
        decoded_channels: C of the neck.
        stride: image pixels along a cell of the neck's map. A finer map is averaged over the
            patches; a coarser cell predicts all of its patches.
        targets: :class:`HOGTargets`, :class:`BackboneTargets` or your own: image -> features; has
            ``channels`` and ``stride`` (None = that of the neck's map).
        loss_weight: replaces MIR's w_1 (Eq. 8).
    """

    reads = ('decoded',)
    takes = ('decoded_channels', 'stride')
    published = False

    def __init__(
        self,
        decoded_channels: int,
        stride: int,
        targets: dict,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.targets: Any = MODELS.build(targets)
        self.loss_weight = loss_weight
        patch = self.targets.stride or stride
        if max(stride, patch) % min(stride, patch):
            raise ValueError(
                f"{type(self).__name__}: patches of {patch} pixels and the neck's cells of "
                f'{stride} do not tile each other; change the stride of targets'
            )
        self.factor = max(1, stride // patch)  # patches along a cell's side
        self.predict_patches = nn.Conv2d(decoded_channels, self.out_channels * self.factor**2, 1)

    @property
    @abstractmethod
    def out_channels(self) -> int:
        """Predicted numbers of a patch."""

    def forward(self, *, decoded: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(B, C, H / stride, W / stride) -> (B, out_channels, *size), size = (H / s, W / s)."""
        cells = (size[0] // self.factor, size[1] // self.factor)
        predicted = self.predict_patches(F.adaptive_avg_pool2d(decoded, cells))
        return F.pixel_shuffle(predicted, self.factor)

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted mean over the masked patches of all processes; without a mask over all."""
        image, mask = batch.pixels, batch.image_mask
        targets = self.targets(image)
        size = (targets.shape[2], targets.shape[3])
        errors = self.errors(self(decoded=features.decoded, size=size).float(), targets)
        masked = torch.ones_like(errors, dtype=torch.bool)
        if mask is not None:
            masked = self._masked(mask, image, size)
        return dict(loss=self.loss_weight * (errors * masked).sum() / mean_count(masked))

    @staticmethod
    def _masked(mask: torch.Tensor, image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        if image.ndim == 3:  # precomputed features instead of images
            return mask[..., :1]
        pixels = mask_to_pixels(mask, image.shape[2:]).float()
        return F.adaptive_avg_pool2d(pixels, size)[:, 0] >= 0.5

    @abstractmethod
    def errors(self, predicted: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Error of each patch (B, H / s, W / s)."""


@MODELS.register_module()
class MaskedFeatureHead(MaskedPatchHead):
    """Masked feature regression: the squared error of each masked patch's feature.

    Features are normalised over D (mean 0, variance 1), as in MaskFeat and MAE, so ``loss_weight``
    does not depend on their scale. Args: see :class:`MaskedPatchHead`.
    """

    @property
    def out_channels(self) -> int:
        """D."""
        return self.targets.channels

    def errors(self, predicted: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Mean over D of the squared error, (B, H / s, W / s)."""
        targets = F.layer_norm(features.movedim(1, -1), (features.shape[1],)).movedim(-1, 1)
        return (predicted - targets).square().mean(1)


@MODELS.register_module()
class MaskedClusterHead(MaskedPatchHead):
    """Masked patch classification: the cluster, of K, of each masked patch's feature.

    :class:`mvlt.engine.FitClustersHook` fits the clusters before training; checkpoints keep them.

    Args:
        num_clusters: K.
        decoded_channels, stride, targets, loss_weight, init_cfg: see :class:`MaskedPatchHead`.
    """

    centroids: torch.Tensor

    def __init__(
        self,
        decoded_channels: int,
        stride: int,
        targets: dict,
        num_clusters: int = 256,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        self.num_clusters = num_clusters
        super().__init__(decoded_channels, stride, targets, loss_weight, init_cfg)
        self.register_buffer('centroids', torch.zeros(num_clusters, self.targets.channels))
        self._fitted = False

    @property
    def out_channels(self) -> int:
        """K."""
        return self.num_clusters

    @property
    def is_fitted(self) -> bool:
        """Whether the clusters are fitted; waits for the device until they are."""
        self._fitted = self._fitted or bool(self.centroids.any())
        return self._fitted

    def clusters(self, features: torch.Tensor) -> torch.Tensor:
        """Nearest cluster of each patch: (B, D, H / s, W / s) -> int64 (B, H / s, W / s)."""
        flat = features.movedim(1, -1).flatten(0, -2)
        return torch.cdist(flat, self.centroids).argmin(1).view(len(features), *features.shape[2:])

    def errors(self, predicted: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Cross-entropy (B, H / s, W / s); ValueError without clusters."""
        if not self.is_fitted:
            raise ValueError(
                'MaskedClusterHead has no clusters: add FitClustersHook to default_hooks, which '
                'fits them before training, or start from a checkpoint that has them'
            )
        return F.cross_entropy(predicted, self.clusters(features), reduction='none')
