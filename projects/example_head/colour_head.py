"""A head outside the package: an attribute, e.g. the colour, from the image alone.

Legend: B batch, C channels.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mvlt.models import Features, Head
from mvlt.registry import MODELS
from mvlt.structures import Batch


@MODELS.register_module()
class ColourHead(Head):
    """Mean of the image's last feature map -> colour. Captions are not read.

    Args:
        in_channels: C of the backbone's last stage; the model fills it in.
        num_classes: colours; 'data' counts them in the training data.
        label: the label that holds the colour.
        name: prefix of the predictions; the model fills it in.
    """

    reads = ('image',)
    gives = 'classes'
    takes = ('in_channels', 'label', 'name')
    class_rows = ('classifier.weight', 'classifier.bias')

    def __init__(
        self, in_channels: int, num_classes: int, label: str, name: str = 'colour'
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.label = label
        self.name = name
        self.classifier = nn.Linear(in_channels, num_classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) -> logits (B, num_classes)."""
        return self.classifier(image.mean((2, 3)))

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Cross-entropy."""
        logits = self(features.image[-1]).float()
        return dict(loss=F.cross_entropy(logits, batch.labels(self.label)))

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """Probabilities ``<name>_scores``, float32 (B, num_classes)."""
        return {f'{self.name}_scores': self(features.image[-1]).float().softmax(-1)}
