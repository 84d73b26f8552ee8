"""A cheap scorer that says which pairs are worth the matching head.

Legend: I pictures, J captions, V vocabulary.
"""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch

from mvlt.datasets.vocabulary import Vocabulary
from mvlt.engine.gallery import Gallery
from mvlt.engine.pair_scorer import PairScorer


def shortlist(
    scorer: PairScorer,
    gallery: Gallery,
    texts: Sequence[torch.Tensor],
    best: int,
    vocabulary: Vocabulary,
) -> np.ndarray:
    """Pairs among the ``best`` of their picture or of their caption, bool (I, J).

    The scorer is ours, not the paper's: a picture is read once with a caption of [MASK] only, and
    the MLM head says which words it expects. A caption's score is the mean, over its words, of
    their log-probability less its mean over all pictures. So the model runs I times instead of
    I x J times.

    Args:
        scorer: gives model and pictures; the model needs its MLM head.
        gallery: what is ranked.
        texts: token ids of every caption.
        best: K.
        vocabulary: which ids are words.

    Raises:
        ValueError: the model has no MLM head.
    """
    expected = _expected_words(scorer, gallery.images, texts, vocabulary)
    expected -= expected.mean(0)
    special = set(vocabulary.special_ids)
    scores = np.empty((len(gallery.images), len(texts)), dtype=np.float32)
    for place, ids in enumerate(texts):
        words = [word for word in ids.tolist() if word not in special]
        scores[:, place] = expected[:, words].mean(1) if words else -np.inf
    wanted = np.zeros(scores.shape, dtype=bool)
    for axis in (0, 1):
        order = np.argsort(-scores, axis=axis, kind='stable')
        first = np.take(order, range(min(best, order.shape[axis])), axis)
        np.put_along_axis(wanted, first, True, axis)
    return wanted


@torch.no_grad()
def _expected_words(
    scorer: PairScorer, rows: Sequence[int], texts: Sequence[torch.Tensor], vocabulary: Vocabulary
) -> np.ndarray:
    """Log-probability of every word at a hidden place beside each picture, float32 (I, V)."""
    model = scorer.model
    if model.mlm_head is None:
        raise ValueError(
            'rerank needs model.mlm_head for its cheap scorer, which this config does not build'
        )
    words = max(1, int(np.median([len(ids) for ids in texts])) - 2)
    tokens = [vocabulary.cls_id, *[vocabulary.mask_id] * words, vocabulary.sep_id]
    preprocessor = model.data_preprocessor
    found = []
    pictures = scorer.read(rows)
    while batch := [image for image, _ in islice(pictures, scorer.batch_size)]:
        image = preprocessor.normalise(torch.stack(batch).to(preprocessor.device))
        ids = torch.tensor([tokens] * len(batch), device=image.device)
        text = model.backbone(image, ids, None).texts[-1][:, 1:-1]
        logits = model.mlm_head(text=text, word_table=model.word_table)
        found.append(logits.float().log_softmax(-1).mean(1).cpu().numpy())
    return np.concatenate(found)
