"""Feature-level twins of MIR: what Fig. 1 (top) sets pixels against.

They stand in MIR's place (``model.heads.mir``), read the same decoded map and see the same masks,
so that pixels, features and classes are compared with nothing else changed.

Legend: B batch, C channels of the neck, H, W image sides, s pixels a patch of the targets, D size
of a feature, K clusters, u side of a masking unit.
"""

from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mvlt.models.data_preprocessor import mask_to_pixels
from mvlt.models.features import Features
from mvlt.models.heads.base import Head
from mvlt.models.heads.parts import mean_count
from mvlt.registry import MODELS
from mvlt.structures import Batch


class MaskedPatchHead(Head):
    """Hidden patches -> something of each of them; a subclass says what, and by which loss.

    A patch counts as hidden where half of its pixels are at least.

    Args:
        decoded_channels: C of the neck.
        stride: image pixels per cell of the neck's map: where it is finer than the patches, the map
            is averaged over them; a coarser cell predicts all of its patches.
        targets: :class:`HOGTargets`, :class:`BackboneTargets` or one of your own: image ->
            features; has ``channels`` and ``stride`` (None = that of the neck's map).
        loss_weight: in the place of MIR's w_1 (Eq. 8).
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
        """Numbers a patch."""

    def forward(self, *, decoded: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(B, C, H / stride, W / stride) -> (B, numbers, *size), size = (H / s, W / s)."""
        cells = (size[0] // self.factor, size[1] // self.factor)
        predicted = self.predict_patches(F.adaptive_avg_pool2d(decoded, cells))
        return F.pixel_shuffle(predicted, self.factor)

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted mean over the hidden patches of all processes, over all where no mask is."""
        target, mask = batch.pixels, batch.image_mask
        wanted = self.targets(target)
        size = (wanted.shape[2], wanted.shape[3])
        errors = self.errors(self(decoded=features.decoded, size=size).float(), wanted)
        hidden = torch.ones_like(errors, dtype=torch.bool)
        if mask is not None:
            hidden = self._hidden(mask, target, size)
        return dict(loss=self.loss_weight * (errors * hidden).sum() / mean_count(hidden))

    @staticmethod
    def _hidden(mask: torch.Tensor, image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        if image.ndim == 3:  # features in the place of pictures
            return mask[..., :1]
        pixels = mask_to_pixels(mask, image.shape[2:]).float()
        return F.adaptive_avg_pool2d(pixels, size)[:, 0] >= 0.5

    @abstractmethod
    def errors(self, predicted: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Error of each patch (B, H / s, W / s)."""


@MODELS.register_module()
class MaskedFeatureHead(MaskedPatchHead):
    """Masked feature regression: the squared error from each hidden patch's feature.

    Features are normalised over D (mean 0, variance 1), as MaskFeat's and MAE's targets are, so
    that ``loss_weight`` means the same for all kinds of them. Args: see :class:`MaskedPatchHead`.
    """

    @property
    def out_channels(self) -> int:
        """D."""
        return self.targets.channels

    def errors(self, predicted: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Mean over D of the squared error, (B, H / s, W / s)."""
        wanted = F.layer_norm(features.movedim(1, -1), (features.shape[1],)).movedim(-1, 1)
        return (predicted - wanted).square().mean(1)


@MODELS.register_module()
class MaskedClusterHead(MaskedPatchHead):
    """Masked patch classification: which of K clusters each hidden patch's feature lies in.

    :class:`mvlt.engine.FitClustersHook` fits the clusters before training; they are kept with the
    weights.

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
        """Whether the clusters are there; the device is asked until they are."""
        self._fitted = self._fitted or bool(self.centroids.any())
        return self._fitted

    def clusters(self, features: torch.Tensor) -> torch.Tensor:
        """Nearest cluster of each patch: (B, D, H / s, W / s) -> int64 (B, H / s, W / s)."""
        flat = features.movedim(1, -1).flatten(0, -2)
        return torch.cdist(flat, self.centroids).argmin(1).view(len(features), *features.shape[2:])

    def errors(self, predicted: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Cross-entropy (B, H / s, W / s).

        Raises:
            ValueError: no clusters.
        """
        if not self.is_fitted:
            raise ValueError(
                'MaskedClusterHead has no clusters: add FitClustersHook to default_hooks, which '
                'fits them before training, or start from a checkpoint that has them'
            )
        return F.cross_entropy(predicted, self.clusters(features), reduction='none')
