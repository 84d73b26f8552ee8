"""A cheap scorer that says which pairs are worth the matching head.

The scorer is ours, not the paper's: a picture is read once with a caption of [MASK] only, and the
MLM head says which words it expects. A caption's score is the mean, over its words, of their
log-probability less its mean over all pictures. So the model runs I times instead of I x J times.

A word's log-probability is a product of two vectors (the MLM head's decoder is linear), and so is
the mean over words and places: pictures and captions are kept as vectors, (D + 1) numbers each.

Legend: I pictures, J captions, D word vector size.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size

from mvlt.datasets.vocabulary import Vocabulary
from mvlt.retrieval.gallery import Gallery
from mvlt.retrieval.scorer import PairScorer


def shortlist(
    scorer: PairScorer,
    gallery: Gallery,
    texts: Sequence[torch.Tensor],
    best: int,
    vocabulary: Vocabulary,
) -> np.ndarray:
    """Pairs among the ``best`` of their picture or of their caption, bool (I, J).

    Ranks share the pictures.

    Args:
        scorer: gives model and pictures; the model needs its MLM head.
        gallery: what is ranked.
        texts: token ids of every caption.
        best: K.
        vocabulary: which ids are words.

    Raises:
        ValueError: the model has no MLM head.
    """
    rows, rank, world = gallery.images, get_rank(), get_world_size()
    own = picture_vectors(
        scorer,
        (image for image, _ in scorer.read(rows[rank::world])),
        usual_length(texts),
        vocabulary,
    )
    pictures = np.empty((len(rows), own.shape[1]), np.float32)
    for other, part in enumerate(all_gather_object(own)):
        pictures[other::world] = part
    captions = caption_vectors(scorer.model, texts, vocabulary)
    scores = (pictures - pictures.mean(0)) @ captions.T
    scores[:, captions[:, -1] == 0] = -np.inf
    wanted = np.zeros(scores.shape, dtype=bool)
    for axis in (0, 1):
        order = np.argsort(-scores, axis=axis, kind='stable')
        first = np.take(order, range(min(best, order.shape[axis])), axis)
        np.put_along_axis(wanted, first, True, axis)
    return wanted


def usual_length(texts: Sequence[Any]) -> int:
    """Words of the caption of middle length, [CLS] and [SEP] not counted; 1 at least."""
    return max(1, int(np.median([len(ids) for ids in texts])) - 2)


@torch.no_grad()
def picture_vectors(
    scorer: PairScorer, pictures: Iterable[torch.Tensor], hidden: int, vocabulary: Vocabulary
) -> np.ndarray:
    """What words the model expects beside each picture, float32 (n, D + 1).

    Args:
        scorer: gives model, batch size and precision.
        pictures: uint8 (3, H, W) each.
        hidden: how many words are asked for.
        vocabulary: of the model.

    Raises:
        ValueError: the model has no MLM head.
    """
    model = scorer.model
    head = model.head('mlm')
    tokens = [vocabulary.cls_id, *[vocabulary.mask_id] * hidden, vocabulary.sep_id]
    preprocessor, table = model.data_preprocessor, model.word_table.float()
    found = [np.empty((0, table.shape[1] + 1), np.float32)]
    pictures = iter(pictures)
    while batch := list(islice(pictures, scorer.batch_size)):
        image = preprocessor.normalise(torch.stack(batch).to(preprocessor.device))
        ids = torch.tensor([tokens] * len(batch), device=image.device)
        with scorer.autocast():
            text = model.backbone(image, ids, None).texts[-1][:, 1:-1]
            words = head.words(text)
            logits = head(text=text, word_table=model.word_table)
        total = logits.float().logsumexp(-1, keepdim=True)
        found.append(torch.cat((words.float(), -total), -1).mean(1).cpu().numpy())
    return np.concatenate(found)


@torch.no_grad()
def caption_vectors(
    model: Any, texts: Sequence[torch.Tensor | np.ndarray], vocabulary: Vocabulary
) -> np.ndarray:
    """Mean word vector of each caption and a 1, float32 (J, D + 1); zeros where it has no word."""
    special = np.array(vocabulary.special_ids)
    table = model.word_table.float().cpu().numpy()
    found = np.zeros((len(texts), table.shape[1] + 1), np.float32)
    for place, ids in enumerate(texts):
        words = np.asarray(ids)[~np.isin(np.asarray(ids), special)]
        if len(words):
            found[place, :-1] = table[words].mean(0)
            found[place, -1] = 1
    return found
