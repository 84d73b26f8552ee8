"""Main- and sub-category recognition, Task 3 (paper Sec. 3.3).

Legend: B batch, C channels of the last stage.
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule

from mvlt.models.features import Features
from mvlt.models.heads.parts import linear, projection
from mvlt.registry import MODELS
from mvlt.structures import Batch


@MODELS.register_module()
class CategoryHead(BaseModule):
    """[CLS] of the last stage -> one of the categories.

    Args:
        in_channels: C of the backbone's last stage.
        label: which label of the samples it learns; by default the name that the head has in
            ``model.heads``.
        num_classes: categories in the training data. A config may say ``'data'``: the tools then
            count them before they build the model (:func:`mvlt.config.load_config`).
        hidden_dims: size after the first projection.
        loss_weight: factor of this loss.
    """

    cls_only = True  # it reads nothing else of the features

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        label: str = 'category',
        hidden_dims: int = 768,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(
                f'CategoryHead.num_classes={num_classes!r}: a positive number is needed; '
                "'data' works only through load_config, which counts the training data"
            )
        self.num_classes = num_classes
        self.label = label
        self.loss_weight = loss_weight
        self.projection = projection(in_channels, hidden_dims)
        self.classifier = linear(hidden_dims, num_classes)

    def forward(self, *, cls: torch.Tensor) -> torch.Tensor:
        """(B, C) -> logits (B, num_classes)."""
        return self.classifier(self.projection(cls))

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted cross-entropy over labels from 0 to num_classes - 1.

        Raises:
            ValueError: a label is out of range.
        """
        category = batch.labels(self.label)
        if category.numel() and int(category.max()) >= self.num_classes:
            raise ValueError(
                f'a category has index {int(category.max())}, but the head knows '
                f"{self.num_classes} classes: set num_classes='data', or train on the data that "
                'the head was made for'
            )
        logits = self(cls=features.cls).float()
        return dict(loss=self.loss_weight * F.cross_entropy(logits, category))

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """Probabilities ``<label>_scores``, float32 (B, num_classes)."""
        return {f'{self.label}_scores': self(cls=features.cls).float().softmax(-1)}
