"""Pictures and texts as vectors, whose product says cheaply how well they go together.

The encoder here is ours, not the paper's: a picture is read once with a caption of [MASK] only, and
the MLM head says which words it expects. A caption's score is the mean, over its words, of their
log-probability less its mean over some pictures. So the model runs I times instead of I x J times.

A word's log-probability is a product of two vectors (the MLM head's decoder is linear), and so is
the mean over words and places: pictures and captions are kept as vectors, (D + 1) numbers each.

Legend: I pictures, J captions, D size of a vector (of a word, in :class:`WordEncoder`).
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch

from mvlt.datasets.vocabulary import Vocabulary
from mvlt.registry import TASK_UTILS
from mvlt.retrieval.scorer import PairScorer

_HIDDEN = 6  # words that a picture is asked for where no caption tells how many are usual
_SAMPLE = 256  # pictures whose mean is what is usual
CAPTIONS = 1000  # of a gallery, whose middle length is the usual one


@TASK_UTILS.register_module()
class WordEncoder:
    """What words the MLM head expects beside a picture, against those of a text.

    Args:
        scorer: gives model, batch size and precision.
        vocabulary: which ids are words.
        captions: token ids of the gallery's captions; their middle length is what a picture is
            asked for. None = there are none.

    Raises:
        ValueError: the model has no MLM head.
    """

    def __init__(
        self, scorer: PairScorer, vocabulary: Vocabulary, captions: Sequence[Any] | None = None
    ) -> None:
        self.scorer = scorer
        self.vocabulary = vocabulary
        self.head = scorer.model.head('mlm')
        self.hidden = usual_length(captions[:CAPTIONS]) if captions else _HIDDEN

    @torch.no_grad()
    def images(self, pictures: Iterable[torch.Tensor]) -> np.ndarray:
        """Uint8 (3, H, W) each -> float32 (n, D + 1)."""
        model, scorer, vocabulary = self.scorer.model, self.scorer, self.vocabulary
        tokens = [vocabulary.cls_id, *[vocabulary.mask_id] * self.hidden, vocabulary.sep_id]
        preprocessor, table = model.data_preprocessor, model.word_table
        found = [np.empty((0, table.shape[1] + 1), np.float32)]
        pictures = iter(pictures)
        while batch := list(islice(pictures, scorer.batch_size)):
            image = preprocessor.normalise(torch.stack(batch).to(preprocessor.device))
            ids = torch.tensor([tokens] * len(batch), device=image.device)
            with scorer.autocast():
                text = model.backbone(image, ids, None).texts[-1][:, 1:-1]
                words = self.head.words(text)
                logits = self.head(text=text, word_table=table)
            total = logits.float().logsumexp(-1, keepdim=True)
            found.append(torch.cat((words.float(), -total), -1).mean(1).cpu().numpy())
        return np.concatenate(found)

    @torch.no_grad()
    def texts(self, token_ids: Sequence[Any]) -> np.ndarray:
        """Int64 (T,) each -> mean word vector and a 1, float32 (m, D + 1); 0 without a word."""
        special, table = self.vocabulary.special_ids, self.scorer.model.word_table
        found = np.zeros((len(token_ids), table.shape[1] + 1), np.float32)
        for place, ids in enumerate(token_ids):
            words = np.asarray(ids)[~np.isin(np.asarray(ids), special)]
            if len(words):
                rows = table[torch.from_numpy(words).to(table.device)]
                found[place, :-1] = rows.float().mean(0).cpu().numpy()
                found[place, -1] = 1
        return found


def similarity(images: np.ndarray, usual: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """How well pictures and texts go together beyond what is usual, float32 (I, J).

    Args:
        images: (I, D).
        usual: (D,), mean vector of some pictures (:func:`usual_rows`).
        texts: (J, D); one of zeros is like nothing: minus infinity.
    """
    found = (images - usual) @ texts.T
    found[:, ~texts.any(1)] = -np.inf
    return found


def usual_rows(count: int) -> list[int]:
    """Evenly spaced places of at most 256 of ``count`` pictures."""
    return np.linspace(0, count - 1, min(_SAMPLE, count)).astype(int).tolist()


def usual_length(texts: Sequence[Any]) -> int:
    """Words of the caption of middle length, [CLS] and [SEP] not counted; 1 at least."""
    return max(1, int(np.median([len(ids) for ids in texts])) - 2)
