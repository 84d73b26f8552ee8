"""Main- and sub-category recognition, Task 3 (paper Sec. 3.3), and attributes of products.

Legend: B batch, C channels of the last stage.
"""

from typing import Any, Literal

import torch

from mvlt.models.features import Features
from mvlt.models.heads.base import Head, class_loss, linear, projection
from mvlt.registry import MODELS
from mvlt.structures import Batch


@MODELS.register_module()
class CategoryHead(Head):
    """[CLS] of the last stage, or the mean of the last map of the image alone -> a class.

    Args:
        in_channels: C of the backbone's last stage.
        label: category or attribute of the samples; default: the head's name in ``model.heads``.
        num_classes: classes in the training data. In a config ``'data'`` counts them
            (:func:`mvlt.engine.resolve`).
        name: of the predictions, ``<name>_scores``; default: the head's name.
        hidden_dims: size after the first projection.
        reads: 'pair', as the paper, or 'image', without the caption, which may name the class.
        label_smoothing: 0 to 1, share of the target that is spread over all classes.
        loss_weight: factor of this loss.
    """

    reads: tuple[str, ...] = ('cls',)
    gives = 'classes'
    takes = ('in_channels', 'label', 'name')

    class_rows = ('classifier.weight', 'classifier.bias')
    training_only = ('label_smoothing',)

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        label: str = 'category',
        name: str | None = None,
        hidden_dims: int = 768,
        reads: Literal['pair', 'image'] = 'pair',
        label_smoothing: float = 0.0,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(
                f'CategoryHead.num_classes={num_classes!r}: give a positive number; '
                "'data' works only through mvlt.engine.resolve, which counts the training data"
            )
        if reads not in ('pair', 'image'):
            raise ValueError(f"CategoryHead.reads='{reads}'; legal: 'pair', 'image'")
        self.reads = ('cls',) if reads == 'pair' else ('image',)
        self.label_smoothing = label_smoothing
        self.num_classes = num_classes
        self.label = label
        self.name = name or label
        self.loss_weight = loss_weight
        self.projection = projection(in_channels, hidden_dims)
        self.classifier = linear(hidden_dims, num_classes)

    def forward(self, *, cls: torch.Tensor) -> torch.Tensor:
        """(B, C) -> logits (B, num_classes)."""
        return self.classifier(self.projection(cls))

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted cross-entropy over classes 0 to num_classes - 1; -1 (unknown) is ignored.

        Raises:
            ValueError: a class is out of range.
        """
        highest = max(batch.values(self.label), default=-1)
        if highest >= self.num_classes:
            raise ValueError(
                f'a category has index {highest}, but the head has {self.num_classes} classes: '
                "set num_classes='data', or train on the data of these classes"
            )
        logits = self(cls=self.read(features))
        mixed = batch.mixed if 'image' in self.reads else None
        loss = class_loss(logits, batch.labels(self.label), self.label_smoothing, mixed)
        return dict(loss=self.loss_weight * loss)

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """Probabilities ``<name>_scores``, float32 (B, num_classes)."""
        return {f'{self.name}_scores': self(cls=self.read(features)).float().softmax(-1)}

    def read(self, features: Features) -> torch.Tensor:
        """The head's input, (B, C)."""
        return features.pooled_image if 'image' in self.reads else features.cls
