"""Image-text matching whose wrong pairs are those that the towers take for right ones.

Not in the paper, whose mismatched captions are drawn at random; ALBEF and GRIT-VLP draw them from
the batch by similarity.

Legend: B pairs of this process, N wrong ones.
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
    """The matching head; it makes its wrong pairs from the batch, whose pairs all match.

    A wrong caption for a picture, or picture for a caption, is drawn from those of this process
    that do not belong to it, with the probabilities of softmax(hardness x logits), logits those of
    the head that gives embeddings. The weights are those of :class:`ITMHead`.

    Args:
        in_channels, hidden_dims, loss_weight: see :class:`ITMHead`.
        negatives: wrong pairs a true one: 1 (a wrong caption for every second picture, a wrong
            picture for every second caption) or 2 (both for each), as ALBEF has it.
        warmup_steps: steps of the training over which hardness grows from 0, where wrong pairs are
            drawn evenly, to 1. Without, matching alone stays at chance.

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
        true = batch.positives
        image_rows, text_rows = self.wrong_pairs(logits, true, self.hardness(batch.step))
        drawn = (image_rows >= 0) & (text_rows >= 0)
        wrong = features.pairs(image_rows.clamp(min=0), text_rows.clamp(min=0), cls_only=True)
        scores = self(cls=torch.cat((features.cls, wrong.texts[-1][:, 0]))).float()
        right = torch.ones(len(true), dtype=torch.bool, device=drawn.device)
        labels = torch.cat((right, torch.zeros_like(drawn))).long()
        counted = torch.cat((right, drawn))
        # how many there are is not read back from the device: what was not drawn has no weight
        errors = F.cross_entropy(scores, labels, reduction='none') * counted
        return dict(loss=self.loss_weight * errors.sum() / counted.sum())

    def wrong_pairs(
        self, logits: torch.Tensor, true: torch.Tensor, hardness: float = 1.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of pictures and of captions, int64 (N,) each, -1 where none can be drawn.

        Args:
            logits: of pictures and captions, (B, B).
            true: bool (B, B), which belong together.
            hardness: 0 to 1, see :func:`draw`.
        """
        rows = torch.arange(len(true), device=true.device)
        by_image = draw(logits, true, hardness)
        by_text = draw(logits.T, true.T, hardness)
        first, second = slice(None), slice(None)
        if self.negatives == 1:
            first, second = slice(0, None, 2), slice(1, None, 2)
        return (
            torch.cat((rows[first], by_text[second])),
            torch.cat((by_image[first], rows[second])),
        )


def draw(logits: torch.Tensor, true: torch.Tensor, hardness: float) -> torch.Tensor:
    """For each row a column that is not true, int64 (B,); -1 where there is none.

    Args:
        logits: (B, B).
        true: bool (B, B).
        hardness: 0 draws evenly, 1 by softmax(logits).
    """
    legal = ~true
    weights = (hardness * logits).masked_fill(~legal, float('-inf')).softmax(1)
    drawable = legal.any(1)
    drawn = torch.multinomial(torch.where(drawable[:, None], weights, 1.0), 1)[:, 0]
    return torch.where(drawable, drawn, -1)
