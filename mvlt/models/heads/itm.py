"""Image-text matching, Objective 2 (paper Eq. 6).

Legend: B batch, C channels of the last stage.
"""

from typing import Any

import torch
import torch.nn.functional as F

from mvlt.models.features import Features
from mvlt.models.heads.base import Head, linear, projection
from mvlt.registry import MODELS
from mvlt.structures import Batch


@MODELS.register_module()
class ITMHead(Head):
    """[CLS] of the last stage -> whether image and caption match.

    Two logits (0 mismatched, 1 matched) and softmax cross-entropy, which for two classes is the
    binary cross-entropy of Eq. 6.

    Args:
        in_channels: C of the backbone's last stage.
        hidden_dims: size after the first projection.
        loss_weight: w_2 of Eq. 8.
    """

    reads = ('cls',)
    gives = 'match'

    def __init__(
        self,
        in_channels: int,
        hidden_dims: int = 768,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.loss_weight = loss_weight
        self.projection = projection(in_channels, hidden_dims)
        self.classifier = linear(hidden_dims, 2)

    def forward(self, *, cls: torch.Tensor) -> torch.Tensor:
        """(B, C) -> logits (B, 2)."""
        return self.classifier(self.projection(cls))

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted mean over the batch of the label ``matched``, 0 or 1."""
        logits = self(cls=features.cls).float()
        return dict(loss=self.loss_weight * F.cross_entropy(logits, batch.labels('matched')))

    def itm_logits(self, *, cls: torch.Tensor) -> torch.Tensor:
        """Log-odds ln(p / (1 - p)) of a match, float32 (B,), to rank pairs.

        Probabilities above log-odds of 16.6 are 1 in float32 and would tie (fidelity point 39).
        Log-odds in bfloat16 would tie, too, so this head computes in float32 under autocast.
        """
        if torch.is_autocast_enabled(cls.device.type):
            with torch.autocast(cls.device.type, enabled=False):
                return self.itm_logits(cls=cls.float())
        mismatched, matched = self(cls=cls).float().unbind(-1)
        return matched - mismatched

    def match(self, features: Features) -> torch.Tensor:
        """:meth:`itm_logits` of a batch's pairs."""
        return self.itm_logits(cls=features.cls)

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """``itm_score``, probability of a match, float (B,)."""
        return dict(itm_score=self.itm_logits(cls=features.cls).sigmoid().tolist())
