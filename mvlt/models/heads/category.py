"""Main- and sub-category recognition, Task 3 (paper Sec. 3.3).

Legend: B batch, C channels of the last stage.
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule

from mvlt.models.heads.projection import linear, projection
from mvlt.registry import MODELS


@MODELS.register_module()
class CategoryHead(BaseModule):
    """[CLS] of the last stage -> one of the categories.

    Args:
        in_channels: C of the backbone's last stage.
        num_classes: categories in the training data. A config may say ``'data'``: the tools then
            count them before they build the model (:func:`mvlt.engine.config.load_config`).
        hidden_dims: size after the first projection.
        loss_weight: factor of this loss.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
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
        self.loss_weight = loss_weight
        self.projection = projection(in_channels, hidden_dims)
        self.classifier = linear(hidden_dims, num_classes)

    def forward(self, *, cls: torch.Tensor) -> torch.Tensor:
        """(B, C) -> logits (B, num_classes)."""
        return self.classifier(self.projection(cls))

    def loss(self, *, cls: torch.Tensor, category: torch.Tensor) -> torch.Tensor:
        """Weighted cross-entropy; ``category`` int64 (B,), 0 to num_classes - 1.

        Raises:
            ValueError: a label is out of range.
        """
        if category.numel() and int(category.max()) >= self.num_classes:
            raise ValueError(
                f'a category has index {int(category.max())}, but the head knows '
                f"{self.num_classes} classes: set num_classes='data', or train on the data that "
                'the head was made for'
            )
        return self.loss_weight * F.cross_entropy(self(cls=cls).float(), category)

    def predict(self, *, cls: torch.Tensor) -> torch.Tensor:
        """Probabilities, float32 (B, num_classes)."""
        return self(cls=cls).float().softmax(-1)
