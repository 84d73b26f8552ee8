"""Masked language modelling, Objective 3 (paper Eq. 7).

Legend: B batch, T text tokens, C channels of the last stage, M masked tokens of the whole batch,
D size of a token embedding, V vocab_size.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from mvlt.models.features import Features
from mvlt.models.heads.base import Head, linear, mean_count, projection
from mvlt.registry import MODELS
from mvlt.structures import Batch


@MODELS.register_module()
class MLMHead(Head):
    """Text of the last stage -> the masked tokens.

    Logits are computed for masked tokens only. The decoder's weights are the backbone's token
    embeddings (tied, as in BERT).

    Args:
        in_channels: C of the backbone's last stage.
        vocab_size: V.
        token_embed_dim: D.
        loss_on: 'matched' computes the loss over matched pairs only, as a mismatched image does
            not help; 'all' is the released code's.
        loss_weight: w_3 of Eq. 8.
    """

    gives = 'words'
    takes = ('in_channels', 'vocab_size', 'token_embed_dim')

    def __init__(
        self,
        in_channels: int,
        vocab_size: int,
        token_embed_dim: int = 768,
        loss_on: Literal['matched', 'all'] = 'matched',
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if loss_on not in ('matched', 'all'):
            raise ValueError(f"MLMHead.loss_on='{loss_on}'; legal: 'matched', 'all'")
        self.loss_on = loss_on
        self.loss_weight = loss_weight
        self.projection = projection(in_channels, token_embed_dim)
        self.transform = nn.Sequential(
            linear(token_embed_dim, token_embed_dim),
            nn.GELU(),
            nn.LayerNorm(token_embed_dim, eps=1e-5),
        )
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, *, text: torch.Tensor, token_embedding: torch.Tensor) -> torch.Tensor:
        """Features (M, C), token embeddings (V, D) -> logits (M, V)."""
        return F.linear(self.words(text), token_embedding, self.bias)

    def words(self, text: torch.Tensor) -> torch.Tensor:
        """Features (M, C) -> (M, D), to compare with token embeddings."""
        return self.transform(self.projection(text))

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Weighted mean over the M masked tokens of all processes, 0 without any."""
        positions, labels = batch.masked_tokens(matched_only=self.loss_on == 'matched')
        text = features.pair.texts[-1].flatten(0, 1)[positions]
        logits = self(text=text, token_embedding=features.token_embedding).float()
        total = F.cross_entropy(logits, labels, reduction='sum')
        return dict(loss=self.loss_weight * total / mean_count(labels >= 0))

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """``word_predictions`` and ``word_log_probs`` of masked tokens; {} without a mask."""
        if not batch.has('mlm_labels'):
            return {}
        positions, labels = batch.masked_tokens()
        text = features.pair.texts[-1].flatten(0, 1)[positions]
        logits = self(text=text, token_embedding=features.token_embedding)
        log_probs = logits.float().log_softmax(-1).gather(-1, labels[:, None])[:, 0]
        counts = [int((sample.mlm_labels >= 0).sum()) for sample in batch.samples]
        return dict(
            word_predictions=logits.argmax(-1).split(counts),
            word_log_probs=log_probs.split(counts),
        )
