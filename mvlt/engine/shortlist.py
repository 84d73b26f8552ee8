"""A cheap scorer that says which pairs are worth the matching head.

Legend: I pictures, J captions, V vocabulary.
"""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size

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
    special = set(vocabulary.special_ids)
    captions = [[word for word in ids.tolist() if word not in special] for ids in texts]
    words = sorted({word for caption in captions for word in caption})
    place = {word: i for i, word in enumerate(words)}
    expected = _expected_words(scorer, gallery.images, texts, words, vocabulary)
    expected -= expected.mean(0)
    scores = np.full((len(gallery.images), len(texts)), -np.inf, dtype=np.float32)
    for text, caption in enumerate(captions):
        if caption:
            scores[:, text] = expected[:, [place[word] for word in caption]].mean(1)
    wanted = np.zeros(scores.shape, dtype=bool)
    for axis in (0, 1):
        order = np.argsort(-scores, axis=axis, kind='stable')
        first = np.take(order, range(min(best, order.shape[axis])), axis)
        np.put_along_axis(wanted, first, True, axis)
    return wanted


@torch.no_grad()
def _expected_words(
    scorer: PairScorer,
    rows: Sequence[int],
    texts: Sequence[torch.Tensor],
    words: Sequence[int],
    vocabulary: Vocabulary,
) -> np.ndarray:
    """Log-probability of each of ``words`` at a hidden place beside each picture, (I, words).

    Ranks share the pictures.
    """
    model = scorer.model
    if model.mlm_head is None:
        raise ValueError(
            'rerank needs model.mlm_head for its cheap scorer, which this config does not build'
        )
    hidden = max(1, int(np.median([len(ids) for ids in texts])) - 2)
    tokens = [vocabulary.cls_id, *[vocabulary.mask_id] * hidden, vocabulary.sep_id]
    preprocessor = model.data_preprocessor
    own = np.empty((len(range(get_rank(), len(rows), get_world_size())), len(words)), np.float32)
    pictures = scorer.read(rows[get_rank() :: get_world_size()])
    done = 0
    while batch := [image for image, _ in islice(pictures, scorer.batch_size)]:
        image = preprocessor.normalise(torch.stack(batch).to(preprocessor.device))
        ids = torch.tensor([tokens] * len(batch), device=image.device)
        with scorer.autocast():
            text = model.backbone(image, ids, None).texts[-1][:, 1:-1]
            logits = model.mlm_head(text=text, word_table=model.word_table)
        log_probs = logits.float().log_softmax(-1).mean(1)[:, words]
        own[done : done + len(batch)] = log_probs.cpu().numpy()
        done += len(batch)
    expected = np.empty((len(rows), len(words)), np.float32)
    for rank, part in enumerate(all_gather_object(own)):
        expected[rank :: get_world_size()] = part
    return expected
