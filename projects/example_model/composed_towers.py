"""A query of two streams: a reference picture and words for what is to change in it."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from mvlt.registry import MODELS
from mvlt.structures import with_streams
from projects.example_model.colour_towers import ColourTowers


@MODELS.register_module()
class ComposedTowers(ColourTowers):
    """The vector of a picture plus that of a text is to be that of the picture they describe.

    ``StreamRankingLoop`` asks a model for ``embed`` and nothing else.

    Args:
        query_streams: picture and text that together ask for the record's own picture.
        kwargs: those of :class:`ColourTowers`.
    """

    def __init__(self, query_streams: Sequence[str] = ('reference', 'text'), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.query_streams = tuple(query_streams)

    def forward(
        self, inputs: dict[str, Any], data_samples: Sequence[Any] = (), mode: str = 'tensor'
    ) -> Any:
        """mmengine's entry; right are the pictures of the query's product."""
        queries = self.embed(inputs, self.query_streams)
        if mode != 'loss':
            return queries
        logits = 4 * self.scale * queries @ self.embed(inputs, ('image',)).T
        products = [sample.product_id for sample in data_samples]
        right = torch.tensor([[a == b for b in products] for a in products]).to(logits)
        return dict(loss=F.cross_entropy(logits, right / right.sum(1, keepdim=True)))

    def embed(self, inputs: dict[str, Any], streams: Sequence[str]) -> torch.Tensor:
        """Streams of each row as one vector, float (B, D) of length 1."""
        parts = [
            self.words(inputs['token_ids'])
            if name == 'text'
            else self.picture(with_streams(inputs, name, 'text')['image'])
            for name in streams
        ]
        return F.normalize(torch.stack(parts).sum(0), dim=-1)
