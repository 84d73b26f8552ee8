"""Regions of an image: cells of a CNN, or detector features from a file.

The original models read a detector's features (bottom-up attention); :class:`LoadRegions` reads
such files. Without them, cells of a small CNN, trained with the model, replace regions.

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
    """Images, or regions from a file -> region features and boxes.

    Args:
        dims: C.
        cnn: config of an mmpretrain backbone; cells of its last map are the regions.
        cnn_dims: channels of that map.
        region_dims: size of a region's feature in a file, without the box; None = use the CNN.
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
        """Images (B, 3, H, W) or regions of a file (B, N, D + 5).

        Returns:
            Features (B, N, C), boxes (B, N, 5) and the grid (h, w); (N, 1) for regions of a file.
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
    """Load regions from a file instead of an image: ``img`` float32 (N, D + 5).

    Use it as ``pipeline.load`` and set the steps that change pixels to None.

    Args:
        file: HDF5 or npz with ``ids`` (text, a product each), ``features`` float (products, N, D)
            and ``boxes`` float (products, N, 4): left, top, right, bottom in 0..1.
            ``region_files.py`` converts bottom-up attention's files.

    Raises:
        KeyError: the file lacks a product.
        ValueError: a box outside 0..1.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._rows: dict[str, int] = {}
        self._opened: tuple[int, Any] | None = None

    @property
    def files(self) -> tuple[str]:
        """Files that must not change before a ranking is resumed."""
        return (self.file,)

    def transform(self, results: dict) -> dict:
        """Add ``img``."""
        # HDF5 handles do not survive a fork; arrays do
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
                "pixels by the image's width and height"
            )
        area = (boxes[:, 2:3] - boxes[:, 0:1]) * (boxes[:, 3:4] - boxes[:, 1:2])
        features = np.asarray(arrays['features'][row], np.float32)
        results['img'] = np.concatenate((features, boxes, area), 1)
        return results

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _opened=None)


@TRANSFORMS.register_module()
class RandomRegionMask(ImageMask):
    """Mask each region of a file with a probability, but not its box.

    ``image_mask`` is bool (N, D + 5), False in the last five columns. Use it as ``pipeline.mask``
    after :class:`LoadRegions`.

    Args:
        ratio: probability, 0 to 1; 0.15 in UNITER, ImageBERT and ViLBERT.
        prob: see :class:`mvlt.datasets.ImageMask`.
    """

    def __init__(self, ratio: float = 0.15, prob: float = 1.0) -> None:
        super().__init__(ratio, prob=prob)

    def mask(self, height: int, width: int) -> np.ndarray:
        """For N = ``height`` regions of D + 5 = ``width`` numbers."""
        mask = np.zeros((height, width), bool)
        mask[np.random.random(height) < self.ratio, :-BOX] = True
        return mask


@MODELS.register_module()
class RegionTargets(nn.Module):
    """Targets for masked regions of a file: their features.

    Use it as ``targets`` of MaskedFeatureHead or, clustered, of MaskedClusterHead.

    Args:
        channels: D, as ``model.backbone.region_dims``.
    """

    stride = None  # a region is a cell of the model's map, at any stride

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Regions (B, N, D + 5) -> (B, D, N, 1)."""
        return image[..., :-BOX].transpose(1, 2)[..., None]


def _open(path: str) -> Any:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'{path}: no such file of regions; make one as projects/baselines/README.md explains'
        )
    if path.endswith('.npz'):
        with np.load(path) as file:
            return dict(file)
    return h5py.File(path, 'r')


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
