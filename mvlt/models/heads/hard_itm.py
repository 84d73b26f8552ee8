"""Image-text matching with hard negatives, sampled by the similarity of the embeddings.

As in ALBEF and GRIT-VLP; the paper samples mismatched captions at random.

Legend: B pairs of this process, N negatives.
"""

from typing import Any

import torch
import torch.nn.functional as F

from mvlt.models.features import Features
from mvlt.models.heads.itm import ITMHead
from mvlt.registry import MODELS
from mvlt.structures import Batch


@MODELS.register_module()
class HardITMHead(ITMHead):
    """The matching head with negatives from the batch, whose pairs all match.

    A negative caption for an image, or image for a caption, is sampled from this process's batch
    by softmax(hardness x logits), with the logits of the embedding head. Weights are those of
    :class:`ITMHead`.

    Args:
        in_channels, hidden_dims, loss_weight: see :class:`ITMHead`.
        negatives: of each positive: 1 (a caption for every second image, an image for every second
            caption) or 2 (both for each pair), as ALBEF.
        warmup_steps: steps over which hardness grows from 0, uniform sampling, to 1. Without them
            a model without other objectives stays at chance.

    Raises:
        ValueError: ``negatives`` is neither 1 nor 2.
    """

    training_only = ('negatives', 'warmup_steps')

    def __init__(
        self,
        in_channels: int,
        negatives: int = 2,
        warmup_steps: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, **kwargs)
        if negatives not in (1, 2):
            raise ValueError(f'HardITMHead.negatives={negatives}; legal: 1, 2')
        self.negatives = negatives
        self.warmup_steps = warmup_steps

    def hardness(self, step: int) -> float:
        """0 to 1, at a step of the training."""
        return min(1.0, step / self.warmup_steps) if self.warmup_steps else 1.0

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted mean over the B + N pairs."""
        with torch.no_grad():
            images, texts = features.embeds
            logits = features.model.head_that('embedding').logits(images, texts)
        positives = batch.positives
        image_rows, text_rows = self.sample_pairs(logits, positives, self.hardness(batch.step))
        sampled = (image_rows >= 0) & (text_rows >= 0)
        negatives = features.pairs(image_rows.clamp(min=0), text_rows.clamp(min=0), cls_only=True)
        scores = self(cls=torch.cat((features.cls, negatives.texts[-1][:, 0]))).float()
        matched = torch.ones(len(positives), dtype=torch.bool, device=sampled.device)
        labels = torch.cat((matched, torch.zeros_like(sampled))).long()
        # missing negatives get no weight: to count them on the host would wait for the device
        weights = torch.cat((matched, sampled))
        errors = F.cross_entropy(scores, labels, reduction='none') * weights
        return dict(loss=self.loss_weight * errors.sum() / weights.sum())

    def sample_pairs(
        self, logits: torch.Tensor, positives: torch.Tensor, hardness: float = 1.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of images and of captions of negatives, int64 (N,) each, -1 without a candidate.

        Args:
            logits: of images and captions, (B, B).
            positives: bool (B, B).
            hardness: 0 to 1, see :func:`sample_negatives`.
        """
        rows = torch.arange(len(positives), device=positives.device)
        by_image = sample_negatives(logits, positives, hardness)
        by_text = sample_negatives(logits.T, positives.T, hardness)
        first, second = slice(None), slice(None)
        if self.negatives == 1:
            first, second = slice(0, None, 2), slice(1, None, 2)
        return (
            torch.cat((rows[first], by_text[second])),
            torch.cat((by_image[first], rows[second])),
        )


def sample_negatives(
    logits: torch.Tensor, positives: torch.Tensor, hardness: float
) -> torch.Tensor:
    """A negative column for each row, int64 (B,); -1 without one.

    Args:
        logits: (B, B).
        positives: bool (B, B).
        hardness: 0 samples uniformly, 1 by softmax(logits).
    """
    weights = (hardness * logits).masked_fill(positives, float('-inf')).softmax(1)
    has_negative = ~positives.all(1)
    columns = torch.multinomial(torch.where(has_negative[:, None], weights, 1.0), 1)[:, 0]
    return torch.where(has_negative, columns, -1)
