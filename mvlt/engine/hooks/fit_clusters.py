"""Fits the classes of masked patch classification before training."""

from typing import Any

import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.engine.runner import bare_model
from mvlt.models import MaskedClusterHead
from mvlt.randomness import random_of
from mvlt.registry import HOOKS
from mvlt.structures import unit_range

_BATCH = 64


@HOOKS.register_module()
class FitClustersHook(Hook):
    """k-means over patch features of training images, for :class:`MaskedClusterHead`.

    A seed gives the same images and clusters; a resumed run keeps those of its checkpoint.

    Args:
        images: number of images, drawn from the training data.
        seed: of images and clusters.
    """

    def __init__(self, images: int = 2000, seed: int = 0) -> None:
        self.images = images
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        """Fit on the main process, broadcast the clusters.

        Raises:
            ValueError: the model has no such head; fewer different patches than clusters.
        """
        modules = bare_model(runner).modules()
        head: Any = next((part for part in modules if isinstance(part, MaskedClusterHead)), None)
        if head is None:
            raise ValueError('FitClustersHook: no head of the model is a MaskedClusterHead')
        if head.is_fitted:
            return
        if runner.rank == 0:
            head.centroids.copy_(self._fit(runner, head))
            runner.logger.info(f'{len(head.centroids)} clusters of patches fitted')
        broadcast(head.centroids)

    def _fit(self, runner: Runner, head: MaskedClusterHead) -> torch.Tensor:
        from sklearn.cluster import MiniBatchKMeans  # slow to import

        dataset = runner.train_dataloader.dataset
        features = []
        with random_of((self.seed,)):
            rows = torch.randperm(len(dataset))[: self.images].tolist()
            for start in range(0, len(rows), _BATCH):
                pixels = [dataset[row]['inputs']['image'] for row in rows[start : start + _BATCH]]
                images = unit_range(torch.stack(pixels).to(head.centroids.device))
                features.append(head.targets(images).movedim(1, -1).flatten(0, -2).cpu())
        patches = torch.cat(features)
        features.clear()  # a detector's regions take gigabytes
        different = len(patches.unique(dim=0))
        if different < head.num_clusters:
            raise ValueError(
                f'{different} different patches in {len(rows)} training images are fewer than '
                f'num_clusters={head.num_clusters}: lower it, or raise FitClustersHook.images'
            )
        fitted = MiniBatchKMeans(
            head.num_clusters, random_state=self.seed, n_init=1, batch_size=4096
        ).fit(patches.numpy())
        return torch.from_numpy(fitted.cluster_centers_).to(head.centroids)
