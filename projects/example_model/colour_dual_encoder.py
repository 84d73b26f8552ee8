"""A whole model: an image's mean colours against a caption's tokens.

Legend: B batch, D size of an embedding.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import nn

from mvlt.registry import MODELS


@MODELS.register_module()
class ColourDualEncoder(BaseModel):
    """Two embeddings and their product; the tools call ``forward`` and ``match``.

    Args:
        vocab_size: tokens of the tokenizer.
        dims: D.
        data_preprocessor: see :class:`mvlt.models.PairDataPreprocessor`.
    """

    def __init__(self, vocab_size: int, dims: int = 32, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor)
        self.text = nn.EmbeddingBag(vocab_size, dims, mode='mean')
        self.image = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, dims), nn.GELU(),
            nn.Linear(dims, dims),
        )  # fmt: skip
        self.scale = nn.Parameter(torch.tensor(5.0))

    def forward(
        self, inputs: dict[str, Any], data_samples: Sequence[Any] = (), mode: str = 'tensor'
    ) -> Any:
        """mmengine's entry."""
        itm_logits = self.match(inputs['image'], inputs['token_ids'], inputs['text_mask'])
        if mode != 'loss':
            return itm_logits
        matched = itm_logits.new_tensor([float(sample.matched) for sample in data_samples])
        return dict(loss=F.binary_cross_entropy_with_logits(itm_logits, matched))

    def match(
        self, image: torch.Tensor, token_ids: torch.Tensor, text_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """``itm_logits`` of each pair, (B,); rankings sort by them."""
        texts = F.normalize(self.text(token_ids), dim=-1)
        return self.scale * (texts * F.normalize(self.image(image), dim=-1)).sum(-1)
