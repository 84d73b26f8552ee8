"""What regions of a picture stand in these models: cells of a CNN, or features from a file.

The originals read features of a detector (bottom-up attention). Without one, cells of a small CNN,
trained with the model, take their place; who has the features reads them by :class:`LoadRegions`.

Legend: B batch, N regions, C channels.
"""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch import nn

from mvlt.datasets import ImageMask
from mvlt.registry import MODELS, TRANSFORMS

BOX = 5  # left, top, right, bottom in 0..1, and the area


class Regions(nn.Module):
    """Pictures, or regions from a file, -> features of regions and their boxes.

    Args:
        dims: C.
        cnn: settings of mmpretrain's backbone, whose last map's cells are regions; it is given
            float (B, 3, H, W).
        cnn_dims: channels of that map.
        region_dims: size of a region's feature in a file, box not counted; None = there is none.
    """

    def __init__(
        self, dims: int, cnn: dict | None, cnn_dims: int, region_dims: int | None = None
    ) -> None:
        super().__init__()
        self.cnn: Any = None if region_dims else MODELS.build(cnn)
        self.linear = nn.Linear(region_dims or cnn_dims, dims)
        self.norm = nn.LayerNorm(dims)

    def map(self, image: torch.Tensor) -> torch.Tensor:
        """Float (B, 3, H, W) -> the CNN's last map (B, cnn_dims, h, w)."""
        return self.cnn(image)[-1]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int]]:
        """Pictures (B, 3, H, W) or a file's regions (B, N, D + 5).

        Returns:
            Features (B, N, C), boxes (B, N, 5), and the grid (h, w); (N, 1) for those of a file.
        """
        if self.cnn is None:
            features, boxes = image[..., :-BOX], image[..., -BOX:]
            return self.norm(self.linear(features)), boxes, (image.shape[1], 1)
        cells = self.map(image)
        size = (cells.shape[2], cells.shape[3])
        boxes = cell_boxes(size).to(cells).expand(len(cells), -1, -1)
        return self.norm(self.linear(cells.flatten(2).transpose(1, 2))), boxes, size


def cell_boxes(size: tuple[int, int]) -> torch.Tensor:
    """Boxes of the cells of a grid, row by row, float32 (h w, 5)."""
    height, width = size
    top, left = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    sides = [left / width, top / height, (left + 1) / width, (top + 1) / height]
    boxes = torch.stack([side.flatten() for side in sides], -1)
    return torch.cat((boxes, torch.full((len(boxes), 1), 1 / (height * width))), -1)


@TRANSFORMS.register_module()
class LoadRegions(BaseTransform):
    """A record's regions from a file, in the place of its picture: ``img`` float32 (N, D + 5).

    It stands for ``pipeline.load``; steps that change pixels are None then.

    Args:
        file: HDF5 or npz with ``ids`` (products; text), ``features`` float (products, N, D) and
            ``boxes`` float (products, N, 4), left, top, right and bottom in 0..1
            (``region_files.py`` makes one of bottom-up attention's).

    Raises:
        KeyError: a product has no regions in the file.
        ValueError: a box outside 0..1.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._rows: dict[str, int] = {}
        self._opened: tuple[int, Any] | None = None

    @property
    def files(self) -> tuple[str]:
        """What rankings that are gone on with must find unchanged."""
        return (self.file,)

    def transform(self, results: dict) -> dict:
        """Add ``img``."""
        # no handle survives a fork; arrays do
        if self._opened is None or (
            self._opened[0] != os.getpid() and not isinstance(self._opened[1], dict)
        ):
            self._opened = (os.getpid(), _open(self.file))
            self._rows = {
                _text(product_id): row for row, product_id in enumerate(self._opened[1]['ids'][:])
            }
        arrays = self._opened[1]
        row = self._rows.get(results['product_id'])
        if row is None:
            raise KeyError(
                f'{self.file}: no regions of product {results["product_id"]}; it has '
                f'{len(self._rows)} products'
            )
        boxes = np.asarray(arrays['boxes'][row], np.float32)
        if boxes.min() < -1e-3 or boxes.max() > 1 + 1e-3:
            raise ValueError(
                f'{self.file}: a box of product {results["product_id"]} lies outside 0..1: divide '
                "pixels by the picture's width and height"
            )
        area = (boxes[:, 2:3] - boxes[:, 0:1]) * (boxes[:, 3:4] - boxes[:, 1:2])
        features = np.asarray(arrays['features'][row], np.float32)
        results['img'] = np.concatenate((features, boxes, area), 1)
        return results

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _opened=None)


@TRANSFORMS.register_module()
class RandomRegionMask(ImageMask):
    """Hide regions of a file, each with a probability; where they lie is told.

    ``image_mask`` is bool (N, D + 5), False in the last five columns. It stands for
    ``pipeline.mask`` behind :class:`LoadRegions`.

    Args:
        ratio: of hidden regions, 0 to 1; 0.15 in UNITER, ImageBERT and ViLBERT.
        prob: see :class:`mvlt.datasets.ImageMask`.
    """

    def __init__(self, ratio: float = 0.15, prob: float = 1.0) -> None:
        super().__init__(ratio, prob=prob)

    def hide(self, height: int, width: int) -> np.ndarray:
        """For N = ``height`` regions of D + 5 = ``width`` numbers."""
        mask = np.zeros((height, width), bool)
        mask[np.random.random(height) < self.ratio, :-BOX] = True
        return mask


@MODELS.register_module()
class RegionTargets(nn.Module):
    """What heads predict of hidden regions of a file: the features themselves.

    It stands for ``targets`` of MaskedFeatureHead and, by way of clusters, of MaskedClusterHead.

    Args:
        channels: D, as ``model.backbone.region_dims``.
    """

    stride = None  # a region is a cell of the model's map, whatever that counts for

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Regions (B, N, D + 5) -> (B, D, N, 1)."""
        return image[..., :-BOX].transpose(1, 2)[..., None]


def _open(path: str) -> Any:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'{path}: no such file of regions; see projects/baselines/README.md'
        )
    if path.endswith('.npz'):
        with np.load(path) as file:
            return dict(file)
    return h5py.File(path, 'r')


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
