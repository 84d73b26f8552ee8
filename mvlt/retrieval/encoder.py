"""Pictures and texts as vectors, whose product says cheaply how well they go together.

So a model runs I + J times instead of I x J times. Neither encoder is the paper's.
:class:`TowerEncoder` takes the vectors that a model was trained to give (head ``itc``).
:class:`WordEncoder` is for models without: a picture is read once with a caption of [MASK] only,
and the MLM head says which words it expects. A caption's score is the mean, over its words, of
their log-probability less its mean over some pictures. A word's log-probability is a product of two
vectors (the MLM head's decoder is linear), and so is the mean over words and places: pictures and
captions are kept as vectors, (D + 1) numbers each.

Legend: I pictures, J captions, D size of a vector (of a word, in :class:`WordEncoder`).
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from mvlt.datasets.vocabulary import Vocabulary
from mvlt.deadline import check
from mvlt.registry import TASK_UTILS
from mvlt.retrieval.scorer import PairScorer

_HIDDEN = 6  # words that a picture is asked for where no caption tells how many are usual
_SAMPLE = 256  # pictures whose mean is what is usual
CAPTIONS = 1000  # of a gallery, whose middle length is the usual one


@TASK_UTILS.register_module()
class TowerEncoder:
    """Vectors of pictures alone and captions alone; their product is the scaled cosine.

    Args:
        scorer: gives model (``image_embeds``, ``text_embeds``, head ``itc``), batch size and
            precision.
        vocabulary: which ids are words.
        captions: not read.
        mirrored: a picture's vector is the mean of its own and of that of its mirror image.

    Raises:
        ValueError: the model has no head ``itc``.
    """

    def __init__(
        self,
        scorer: PairScorer,
        vocabulary: Vocabulary,
        captions: Sequence[Any] | None = None,
        mirrored: bool = False,
    ) -> None:
        self.scorer = scorer
        self.vocabulary = vocabulary
        self.scale = scorer.model.head_that('embedding').scale.item()
        self.mirrored = mirrored

    centred = False  # ``usual`` is nothing, whatever the pictures are

    @property
    def name(self) -> str:
        """For files of vectors: encoders of one model that read alike share them."""
        return 'towers-mirrored' if self.mirrored else 'towers'

    @torch.no_grad()
    def images(self, pictures: Iterable[torch.Tensor]) -> np.ndarray:
        """Uint8 (3, H, W) each -> float32 (n, D) of length 1."""
        model, scorer = self.scorer.model, self.scorer
        found: list[torch.Tensor] = []
        pictures = iter(pictures)
        while batch := list(islice(pictures, scorer.batch_size)):
            check()
            preprocessor = model.data_preprocessor
            image = preprocessor.normalise(preprocessor.cast_data(torch.stack(batch)))
            with scorer.autocast():
                vectors = model.image_embeds(image)
                if self.mirrored:
                    both = vectors + model.image_embeds(image.flip(3))
                    vectors = torch.nn.functional.normalize(both, dim=-1)
            found.append(vectors.cpu())
        return torch.cat(found).numpy() if found else np.empty((0, 0), np.float32)

    @torch.no_grad()
    def texts(self, token_ids: Sequence[Any]) -> np.ndarray:
        """Int64 (T,) each -> float32 (m, D), as long as the scale; 0 without a word."""
        model, special = self.scorer.model, self.vocabulary.special_ids
        preprocessor = model.data_preprocessor
        lengths = np.array([len(ids) for ids in token_ids])
        order = np.argsort(lengths, kind='stable')
        found: np.ndarray | None = None
        for start in range(0, len(order), self.scorer.batch_size):
            check()
            rows = order[start : start + self.scorer.batch_size]
            listed = [torch.as_tensor(np.asarray(token_ids[row])) for row in rows]
            with self.scorer.autocast():
                vectors = model.text_embeds(*preprocessor.captions(listed)).cpu().numpy()
            has_word = [not np.isin(ids, special).all() for ids in listed]
            if found is None:
                found = np.zeros((len(order), vectors.shape[1]), np.float32)
            found[rows] = self.scale * vectors * np.array(has_word)[:, None]
        return np.empty((0, 0), np.float32) if found is None else found

    def usual(self, images: np.ndarray) -> np.ndarray:
        """What is taken from every picture's vector, (D,): nothing."""
        return np.zeros(images.shape[1], np.float32)

    def shown(self, similarity: np.ndarray) -> np.ndarray:
        """Similarities as people read them: the cosine, -1 to 1."""
        return similarity / self.scale


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
        self.head = scorer.model.head_that('words')
        self.hidden = usual_length(captions[:CAPTIONS]) if captions else _HIDDEN

    centred = True

    @property
    def name(self) -> str:
        """For files of vectors: encoders of one model that read alike share them."""
        return f'words-{self.hidden}'

    def usual(self, images: np.ndarray) -> np.ndarray:
        """Mean vector (D + 1,) of some pictures (n, D + 1)."""
        return images[usual_rows(len(images))].mean(0)

    def shown(self, similarity: np.ndarray) -> np.ndarray:
        """Similarities as people read them: their probability, 0 to 1."""
        return expit(similarity)

    @torch.no_grad()
    def images(self, pictures: Iterable[torch.Tensor]) -> np.ndarray:
        """Uint8 (3, H, W) each -> float32 (n, D + 1)."""
        model, scorer, vocabulary = self.scorer.model, self.scorer, self.vocabulary
        begin = [] if vocabulary.cls_id is None else [vocabulary.cls_id]
        tokens = [*begin, *[vocabulary.mask_id] * self.hidden, vocabulary.sep_id]
        preprocessor, table = model.data_preprocessor, model.word_table
        found = [np.empty((0, table.shape[1] + 1), np.float32)]
        pictures = iter(pictures)
        while batch := list(islice(pictures, scorer.batch_size)):
            image = preprocessor.normalise(preprocessor.cast_data(torch.stack(batch)))
            ids = torch.tensor([tokens] * len(batch), device=image.device)
            with scorer.autocast():
                text = model.backbone.encode_pair(image, ids, None).texts[-1][:, 1:-1]
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


Encoder = TowerEncoder | WordEncoder


def encoder_of(model: Any) -> str | None:
    """Name of the encoder for a model; None where none will do."""
    if not hasattr(model, 'gives'):
        return None
    if model.gives('embedding'):
        return 'TowerEncoder'
    return 'WordEncoder' if model.gives('words') else None


def similarity(images: np.ndarray, usual: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """How well pictures and texts go together beyond what is usual, float32 (I, J).

    Args:
        images: (I, D).
        usual: (D,), the encoder's ``usual``.
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
