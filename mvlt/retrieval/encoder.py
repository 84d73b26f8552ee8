"""Embeddings of images and texts: I + J model runs instead of I x J.

Legend: I images, J texts, D size of an embedding.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import torch

from mvlt.datasets.tokenizer import CaptionTokenizer
from mvlt.deadline import check
from mvlt.registry import TASK_UTILS
from mvlt.retrieval.scorer import PairScorer


@TASK_UTILS.register_module()
class Encoder:
    """Embeds images and texts separately, to length 1.

    Args:
        scorer: model (with an embedding head), batch size and precision.
        tokenizer: tells the special tokens.
        mirrored: average each image's embedding with that of its mirror image.

    Raises:
        ValueError: the model has no embedding head.
    """

    def __init__(
        self, scorer: PairScorer, tokenizer: CaptionTokenizer, mirrored: bool = False
    ) -> None:
        self.scorer = scorer
        self.tokenizer = tokenizer
        self.logit_scale = scorer.model.head_that('embedding').scale.item()
        self.mirrored = mirrored

    @torch.no_grad()
    def images(self, images: Iterable[torch.Tensor]) -> np.ndarray:
        """Uint8 (3, H, W) each -> float32 (I, D)."""
        model, scorer = self.scorer.model, self.scorer
        embeds: list[torch.Tensor] = []
        images = iter(images)
        while batch := list(islice(images, scorer.batch_size)):
            check()
            preprocessor = model.data_preprocessor
            image = preprocessor.normalise(preprocessor.cast_data(torch.stack(batch)))
            with scorer.autocast():
                embed = model.image_embeds(image)
                if self.mirrored:
                    both = embed + model.image_embeds(image.flip(3))
                    embed = torch.nn.functional.normalize(both, dim=-1)
            embeds.append(embed.cpu())
        return torch.cat(embeds).numpy() if embeds else np.empty((0, 0), np.float32)

    @torch.no_grad()
    def texts(self, token_ids: Sequence[torch.Tensor | np.ndarray]) -> np.ndarray:
        """Int64 (T,) each -> float32 (J, D); zeros for a text without a known word."""
        model, special = self.scorer.model, self.tokenizer.special_ids
        preprocessor = model.data_preprocessor
        lengths = np.array([len(ids) for ids in token_ids])
        order = np.argsort(lengths, kind='stable')
        embeds: np.ndarray | None = None
        for start in range(0, len(order), self.scorer.batch_size):
            check()
            rows = order[start : start + self.scorer.batch_size]
            batch = [torch.as_tensor(np.asarray(token_ids[row])) for row in rows]
            with self.scorer.autocast():
                embed = model.text_embeds(*preprocessor.captions(batch)).cpu().numpy()
            has_word = np.array([not np.isin(ids, special).all() for ids in batch])
            if embeds is None:
                embeds = np.zeros((len(order), embed.shape[1]), np.float32)
            embeds[rows] = embed * has_word[:, None]
        return np.empty((0, 0), np.float32) if embeds is None else embeds


def similarity(image_embeds: np.ndarray, text_embeds: np.ndarray) -> np.ndarray:
    """Cosines, float32 (I, J), of (I, D) and (J, D); minus infinity for a text of zeros."""
    cosines = image_embeds @ text_embeds.T
    cosines[:, ~text_embeds.any(1)] = -np.inf
    return cosines
