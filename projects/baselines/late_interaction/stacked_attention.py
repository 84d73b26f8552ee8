"""SCAN (Lee et al., 2018) and PFAN (Wang et al., 2019): attention between tokens and regions.

Legend: P pairs, B batch, N regions, T tokens, C channels, D size of an embedding, K x K blocks.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from mvlt.models import Features, Head
from mvlt.registry import MODELS
from mvlt.structures import Batch
from projects.baselines.dual_encoder.vse import RegionEncoder, hinge_loss

_PAIRS = 2048  # at once; each needs N x T similarities


def stacked_attention(
    queries: torch.Tensor,
    context: torch.Tensor,
    query_mask: torch.Tensor | None,
    context_mask: torch.Tensor | None,
    sharpness: float,
    pooling: Literal['mean', 'lse'],
    lse: float,
) -> torch.Tensor:
    """Similarity of each pair, (P,): mean cosine of queries and attended context.

    Text to image, tokens are queries and regions the context; image to text, vice versa.
    Similarities are clipped at 0 and normalised over the queries (Eq. 1). A sharpened softmax over
    the context weights it (Eq. 2, 3). Cosines (Eq. 4) are pooled by mean or LogSumExp (Eq. 5).

    Args:
        queries: (P, Q, D) of length 1.
        context: (P, S, D) of length 1.
        query_mask, context_mask: bool (P, Q) and (P, S), False = padding; None = no padding.
        sharpness: lambda_1.
        pooling: 'mean', or 'lse' with ``lse`` = lambda_2.
    """
    similarity = (queries @ context.transpose(1, 2)).clamp(min=0)
    if query_mask is not None:
        similarity = similarity * query_mask[..., None]
    similarity = F.normalize(similarity, dim=1, eps=1e-6)
    logits = sharpness * similarity
    if context_mask is not None:
        logits = logits.masked_fill(~context_mask[:, None], float('-inf'))
    attended = logits.softmax(-1) @ context
    cosines = F.cosine_similarity(queries, attended, dim=-1)
    seen = torch.ones_like(cosines) if query_mask is None else query_mask.to(cosines.dtype)
    if pooling == 'mean':
        return (cosines * seen).sum(1) / seen.sum(1)
    return (lse * cosines).masked_fill(seen == 0, float('-inf')).logsumexp(1) / lse


@MODELS.register_module()
class StackedAttentionHead(Head):
    """SCAN's similarity and hinge loss; it replaces ``itm``.

    Args:
        in_channels: C.
        dims: D.
        direction: 'text_to_image' (tokens attend to regions) or 'image_to_text'.
        sharpness, pooling, lse: see :func:`stacked_attention`.
        margin, hardest: see :func:`hinge_loss`.
    """

    reads = ('image', 'text')
    gives = 'match'

    def __init__(
        self,
        in_channels: int,
        dims: int = 128,
        direction: Literal['text_to_image', 'image_to_text'] = 'text_to_image',
        sharpness: float = 9.0,
        pooling: Literal['mean', 'lse'] = 'mean',
        lse: float = 6.0,
        margin: float = 0.2,
        hardest: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if direction not in ('text_to_image', 'image_to_text'):
            raise ValueError(f"direction='{direction}'; legal: text_to_image, image_to_text")
        self.direction = direction
        self.settings = (sharpness, pooling, lse)
        self.margin = margin
        self.hardest = hardest
        self.region = nn.Linear(in_channels, dims)
        self.token = nn.Linear(in_channels, dims)

    def embeddings(self, features: Features) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Regions (B, N, D) and tokens (B, T, D) of length 1, and the mask (B, T) of tokens."""
        regions = features.image[-1].flatten(2).transpose(1, 2)
        tokens, mask = features.text[-1], features.inputs['text_mask']
        if mask is None:
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        regions, tokens = self.region(regions).float(), self.token(tokens).float()
        return F.normalize(regions, dim=-1), F.normalize(tokens, dim=-1), mask

    def scores(
        self, regions: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Similarities of pairs, (P,), of regions (P, N, D) and tokens (P, T, D)."""
        if self.direction == 'text_to_image':
            return stacked_attention(tokens, regions, mask, None, *self.settings)
        return stacked_attention(regions, tokens, None, mask, *self.settings)

    def loss(self, features: Features, batch: Batch) -> dict[str, torch.Tensor]:
        """Hinge loss over all pairs of the batch."""
        regions, tokens, mask = self.embeddings(features)
        count = len(regions)
        every = torch.cartesian_prod(torch.arange(count), torch.arange(count)).to(regions.device)
        scores = [
            self.scores(regions[rows], tokens[columns], mask[columns])
            for rows, columns in (part.unbind(1) for part in every.split(_PAIRS))
        ]
        matrix = torch.cat(scores).view(count, count)
        return dict(loss=hinge_loss(matrix, batch.positives, self.margin, self.hardest))

    def match(self, features: Features) -> torch.Tensor:
        """Similarity of each pair of the batch, (B,)."""
        return self.scores(*self.embeddings(features))

    def predict(self, features: Features, batch: Batch) -> dict[str, Any]:
        """``similarity`` of image and caption, float (B,)."""
        return dict(similarity=self.match(features).tolist())


@MODELS.register_module()
class PositionFocusedRegions(RegionEncoder):
    """PFAN's image encoder: regions with embeddings of K x K image blocks.

    A position embedding sums learnt embeddings of the blocks that a region overlaps, weighted by
    softmax(overlap x softmax(tanh(region . M . block))), as in the authors' code. A linear layer
    joins region and position. Unlike the authors' code, it uses all overlapping blocks instead of
    15 and does not add half of the largest attention to the score.

    Args:
        blocks: K.
        kwargs: see :class:`RegionEncoder`.
    """

    def __init__(self, dims: int = 192, blocks: int = 16, **kwargs: Any) -> None:
        super().__init__(dims, **kwargs)
        self.blocks = blocks
        self.positions = nn.Parameter(torch.randn(blocks**2, dims))
        self.attention = nn.Linear(dims, dims, bias=False)
        self.joined = nn.Linear(2 * dims, dims)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, N, C)."""
        regions, boxes, _ = self.regions(image)
        overlaps = block_overlaps(boxes.float(), self.blocks)
        weights = position_weights(self.attention(regions) @ self.positions.T, overlaps)
        position = weights.to(regions.dtype) @ self.positions
        return self.joined(torch.cat((regions, position), -1))


def position_weights(logits: torch.Tensor, overlaps: torch.Tensor) -> torch.Tensor:
    """Attention over blocks, float32 (B, N, K K), 0 for blocks without overlap.

    A region without area attends to all blocks equally.
    """
    apart = (overlaps <= 0) & (overlaps > 0).any(-1, keepdim=True)
    inner = logits.float().tanh().masked_fill(apart, float('-inf')).softmax(-1)
    return (overlaps * inner).masked_fill(apart, float('-inf')).softmax(-1)


def block_overlaps(boxes: torch.Tensor, blocks: int) -> torch.Tensor:
    """Share of each of K x K blocks that a region covers, (B, N, K K), 0 to 1.

    Args:
        boxes: (B, N, 4 or more), left, top, right, bottom in 0..1.
        blocks: K.
    """
    edges = torch.arange(blocks + 1, device=boxes.device) / blocks

    def covered(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        inside = torch.minimum(high[..., None], edges[1:]) - torch.maximum(
            low[..., None], edges[:-1]
        )
        return inside.clamp(min=0) * blocks

    across, down = covered(boxes[..., 0], boxes[..., 2]), covered(boxes[..., 1], boxes[..., 3])
    return (down[..., :, None] * across[..., None, :]).flatten(-2)
