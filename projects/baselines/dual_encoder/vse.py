"""VSE (Kiros et al., 2014) and VSE++ (Faghri et al., 2018): CNN, GRU and hinge loss.

Legend: B pairs, N cells, T tokens, C channels, D size of an embedding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mvlt.models import Features, Head
from mvlt.registry import MODELS
from mvlt.structures import Batch
from projects.baselines.regions import Regions


@MODELS.register_module()
class RegionEncoder(BaseModule):
    """Image encoder: regions of an image.

    Args:
        dims, cnn, cnn_dims, region_dims: see :class:`Regions`.
    """

    def __init__(
        self,
        dims: int = 192,
        cnn: dict | None = None,
        cnn_dims: int = 256,
        region_dims: int | None = None,
    ) -> None:
        super().__init__()
        self.regions = Regions(dims, cnn, cnn_dims, region_dims)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, N, C)."""
        return self.regions(image)[0]


@MODELS.register_module()
class TextGRU(BaseModule):
    """Text encoder: a GRU over token embeddings.

    Args:
        vocab_size: rows of the token embeddings.
        embed_dims: C, size of the GRU's states.
        token_embed_dim: size of a token embedding.
        both_ways: mean states of a forward and a backward GRU (SCAN); else forward only.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dims: int = 192,
        token_embed_dim: int = 128,
        both_ways: bool = False,
    ) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.words = nn.Embedding(vocab_size, token_embed_dim)
        self.gru = nn.GRU(token_embed_dim, embed_dims, batch_first=True, bidirectional=both_ways)

    @property
    def token_embedding(self) -> torch.Tensor:
        """Token embeddings (vocab_size, token_embed_dim)."""
        return self.words.weight

    def forward(
        self, token_ids: torch.Tensor, text_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(B, T, C)."""
        if text_mask is None:
            text_mask = torch.ones_like(token_ids, dtype=torch.bool)
        packed = pack_padded_sequence(
            self.words(token_ids).float(),
            text_mask.sum(1).cpu(),
            batch_first=True,
            enforce_sorted=False,
        )
        with torch.autocast(token_ids.device.type, enabled=False):
            states, _ = pad_packed_sequence(
                self.gru(packed)[0], batch_first=True, total_length=token_ids.shape[1]
            )
        return states.unflatten(-1, (2, -1)).mean(2) if self.gru.bidirectional else states


def hinge_loss(
    scores: torch.Tensor, positives: torch.Tensor, margin: float, hardest: bool
) -> torch.Tensor:
    """Hinge loss over negatives in both directions, mean over positives.

    VSE sums over all negatives (VSE++ Eq. 5), VSE++ takes the hardest one (Eq. 6).

    Args:
        scores: (B, B), images x captions; the pairs are on the diagonal.
        positives: bool (B, B), pairs that are no negatives.
        margin: alpha.
        hardest: VSE++.
    """
    positive_scores = scores.diagonal()
    by_image = (margin + scores - positive_scores[:, None]).clamp(min=0).masked_fill(positives, 0)
    by_text = (margin + scores - positive_scores[None]).clamp(min=0).masked_fill(positives, 0)
    if hardest:
        return by_image.amax(1).mean() + by_text.amax(0).mean()
    return (by_image.sum(1) + by_text.sum(0)).mean()


@MODELS.register_module()
class HingeHead(Head):
    """Projections to embeddings of length 1, trained by the hinge loss.

    It replaces ``itc``. VSE pools the GRU's last state; here it is the mean over all states, as in
    this project's dual encoder.

    Args:
        in_channels: C.
        dims: D.
        margin, hardest: see :func:`hinge_loss`.
    """

    reads = ('image', 'text')
    gives = 'embedding'
    scale = torch.tensor(1.0)  # factor of the similarities

    def __init__(
        self,
        in_channels: int,
        dims: int = 128,
        margin: float = 0.2,
        hardest: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.margin = margin
        self.hardest = hardest
        self.image = nn.Linear(in_channels, dims)
        self.text = nn.Linear(in_channels, dims)

    def image_embeds(self, pooled: torch.Tensor) -> torch.Tensor:
        """(B, C) -> float32 (B, D) of length 1."""
        return F.normalize(self.image(pooled).float(), dim=-1)

    def text_embeds(self, pooled: torch.Tensor) -> torch.Tensor:
        """(B, C) -> float32 (B, D) of length 1."""
        return F.normalize(self.text(pooled).float(), dim=-1)

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Mean over the batch."""
        images, texts = features.embeds
        return dict(loss=hinge_loss(images @ texts.T, batch.positives, self.margin, self.hardest))

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """``similarity`` of image and caption, -1 to 1, float (B,)."""
        images, texts = features.embeds
        return dict(similarity=(images * texts).sum(-1).tolist())
