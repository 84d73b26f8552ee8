"""One transformer over tokens and regions, the backbone of seven baselines.

Legend: B batch, N regions, T tokens, G tags, C channels.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mvlt.models.encoders import PairFeatures
from mvlt.registry import MODELS
from projects.baselines.regions import cell_boxes
from projects.baselines.streams import WordsAndRegions, layer


@MODELS.register_module()
class OneStream(WordsAndRegions):
    """Tokens, regions and tags as one sequence.

    Args:
        depth: layers.
        num_heads: heads of each layer.
        scales: Kaleido-BERT: regions are k x k parts of the image for each of these k; None = the
            CNN's cells.
        visual_words: VL-BERT: add the image's mean feature to each token.
        tags: OSCAR: number of classes; a linear layer predicts them from the cells (the original
            uses a detector), and the most likely ones are a third segment. 0 = no tags.
        tags_shown: number of most likely classes.
        kwargs: see :class:`WordsAndRegions`.
    """

    def __init__(
        self,
        *args: Any,
        depth: int = 4,
        num_heads: int = 4,
        scales: Sequence[int] | None = None,
        visual_words: bool = False,
        tags: int = 0,
        tags_shown: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        (dims,) = self.embed_dims
        self.scales = tuple(scales or ())
        self.segments = nn.Parameter(torch.randn(3, dims) * 0.02)
        self.visual_words = nn.Linear(dims, dims) if visual_words else None
        self.tags_shown = tags_shown
        self.tagger = nn.Linear(dims, tags) if tags else None
        self.tag_words = nn.Embedding(tags, dims) if tags else None
        self.layers = nn.ModuleList(layer(dims, num_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dims)

    def encode_pair(  # type: ignore[override]
        self,
        image: torch.Tensor | Sequence[torch.Tensor],
        token_ids: torch.Tensor,
        text_mask: torch.Tensor | None = None,
        cls_only: bool = False,
        tags: torch.Tensor | None = None,
    ) -> PairFeatures:
        """Encode image and caption together.

        Args:
            image: (B, 3, H, W), or regions of a file (B, N, D + 5); with ``scales`` also an image
                for each scale.
            token_ids: int64 (B, T).
            text_mask: bool (B, T), False = padding; None = no padding.
            cls_only: ignored: all tokens are computed.
            tags: int64 (B, G) instead of the predicted tags.
        """
        regions, size = self._regions(image)
        text = self.text(self.words(token_ids)) + self.segments[0]
        if self.visual_words is not None:
            text = text + self.visual_words(regions.mean(1, keepdim=True))
        return self._encode(text, regions, size, text_mask, tags)

    def encode_image(self, image: torch.Tensor) -> tuple[torch.Tensor]:
        """One map (B, C, h, w) of an image without a caption."""
        regions, size = self._regions(image)
        return self._encode(regions[:, :0], regions, size, None, None).images

    def tag_logits(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of the tags, (B, tags)."""
        assert self.tagger is not None
        return self.tagger(self._regions(image)[0].mean(1))

    def _regions(
        self, image: torch.Tensor | Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, tuple[int, int]]:
        if not self.scales:
            assert isinstance(image, torch.Tensor)
            features, boxes, size = self.regions(image)
        else:
            features, boxes = self._kaleido(image)
            size = (features.shape[1], 1)
        return self.located(features, boxes) + self.segments[1], size

    def _kaleido(
        self, image: torch.Tensor | Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, N, C) and boxes of k x k parts for each scale."""
        several = not isinstance(image, torch.Tensor)
        maps = self.regions.map(torch.cat(list(image)) if several else image)
        each = maps.chunk(len(self.scales)) if several else [maps] * len(self.scales)
        parts, boxes = [], []
        for scale, cells in zip(self.scales, each):
            pooled = F.adaptive_avg_pool2d(cells, scale).flatten(2).transpose(1, 2)
            parts.append(self.regions.norm(self.regions.linear(pooled)))
            boxes.append(cell_boxes((scale, scale)).to(pooled))
        features = torch.cat(parts, 1)
        return features, torch.cat(boxes).expand(len(features), -1, -1)

    def _encode(
        self,
        text: torch.Tensor,
        regions: torch.Tensor,
        size: tuple[int, int],
        text_mask: torch.Tensor | None,
        tags: torch.Tensor | None,
    ) -> PairFeatures:
        parts = [text, regions]
        if self.tagger is not None:
            assert self.tag_words is not None
            if tags is None:
                tags = self.tagger(regions.mean(1)).topk(self.tags_shown).indices
            parts.append(self.tag_words(tags) + self.segments[2])
        x = torch.cat(parts, 1)
        padding = None
        if text_mask is not None and text.shape[1]:
            padding = F.pad(~text_mask, (0, x.shape[1] - text.shape[1]), value=False)
        for encoder_layer in self.layers:
            x = encoder_layer(x, src_key_padding_mask=padding)
        text, regions = self.norm(x)[:, : text.shape[1] + regions.shape[1]].split(
            (text.shape[1], regions.shape[1]), 1
        )
        return PairFeatures((regions.transpose(1, 2).unflatten(2, size),), (text,))
