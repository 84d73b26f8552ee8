"""A whole model of one's own: the mean colour of a picture against the words of a caption."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import nn

from mvlt.registry import MODELS


@MODELS.register_module()
class ColourTowers(BaseModel):
    """Two vectors and their product; what the tools ask of a model is ``forward`` and ``match``.

    Args:
        vocab_size: word pieces.
        dims: of a vector.
        data_preprocessor: as every model's here.
    """

    def __init__(self, vocab_size: int, dims: int = 32, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor)
        self.words = nn.EmbeddingBag(vocab_size, dims, mode='mean')
        self.picture = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, dims), nn.GELU(),
            nn.Linear(dims, dims),
        )  # fmt: skip
        self.scale = nn.Parameter(torch.tensor(5.0))

    def forward(
        self, inputs: dict[str, Any], data_samples: Sequence[Any] = (), mode: str = 'tensor'
    ) -> Any:
        """mmengine's entry."""
        itm_logits = self.match(inputs['image'], inputs['token_ids'], inputs['text_mask'])
        if mode == 'loss':
            matched = torch.tensor([float(one.matched) for one in data_samples])
            return dict(loss=F.binary_cross_entropy_with_logits(itm_logits, matched.to(itm_logits)))
        return itm_logits

    def match(
        self, image: torch.Tensor, token_ids: torch.Tensor, text_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Log-odds that picture and caption belong together, (B,): what rankings go by."""
        words = F.normalize(self.words(token_ids), dim=-1)
        return self.scale * (words * F.normalize(self.picture(image), dim=-1)).sum(-1)
