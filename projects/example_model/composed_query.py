"""A query of two streams: a reference image and a text that says what to change."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from mvlt.registry import MODELS
from mvlt.structures import with_streams
from projects.example_model.colour_dual_encoder import ColourDualEncoder


@MODELS.register_module()
class ComposedQuery(ColourDualEncoder):
    """Image embedding plus text embedding equals the target image's embedding.

    ``StreamRankingLoop`` calls ``embed``.

    Args:
        query_streams: the streams of a query; the record's own image is the target.
        kwargs: see :class:`ColourDualEncoder`.
    """

    def __init__(self, query_streams: Sequence[str] = ('reference', 'text'), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.query_streams = tuple(query_streams)

    def forward(
        self, inputs: dict[str, Any], data_samples: Sequence[Any] = (), mode: str = 'tensor'
    ) -> Any:
        """mmengine's entry; positives are the images of the query's product."""
        queries = self.embed(inputs, self.query_streams)
        if mode != 'loss':
            return queries
        logits = 4 * self.scale * queries @ self.embed(inputs, ('image',)).T
        products = [sample.product_id for sample in data_samples]
        positives = torch.tensor([[a == b for b in products] for a in products]).to(logits)
        return dict(loss=F.cross_entropy(logits, positives / positives.sum(1, keepdim=True)))

    def embed(self, inputs: dict[str, Any], streams: Sequence[str]) -> torch.Tensor:
        """The streams of each row as one embedding, float (B, D) of length 1."""
        embeddings = [
            self.text(inputs['token_ids'])
            if name == 'text'
            else self.image(with_streams(inputs, name, 'text')['image'])
            for name in streams
        ]
        return F.normalize(torch.stack(embeddings).sum(0), dim=-1)
