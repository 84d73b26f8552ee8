"""Other words for the same product, so that a model learns more from few captions."""

import numpy as np
from mmcv.transforms import BaseTransform

from mvlt.registry import TRANSFORMS
from mvlt.structures import text_key


@TRANSFORMS.register_module()
class RewordCaption(BaseTransform):
    """``caption`` is worded otherwise now and then, ``title`` keeps what the dataset says.

    ``wording_key`` then tells what the wording names, one of ``wording_keys``; where a dataset
    names no columns, the wordings themselves are these.

    First another wording of the record takes its place (``wordings``, e.g. of
    :class:`mvlt.datasets.Catalogue`), or some of its words are dropped; then its words may be
    shuffled. At least one word is left.

    Args:
        other: probability of another wording, 0 to 1; where the record has none, nothing happens.
        drop: probability of each word of the dataset's own caption to be left out.
        shuffle: probability that the words come in another order.
    """

    modality = 'texts'

    def __init__(self, other: float = 0.0, drop: float = 0.0, shuffle: float = 0.0) -> None:
        for name, value in dict(other=other, drop=drop, shuffle=shuffle).items():
            if not 0 <= value <= 1:
                raise ValueError(f'RewordCaption.{name}={value}: a probability from 0 to 1')
        self.other = other
        self.drop = drop
        self.shuffle = shuffle

    def transform(self, results: dict) -> dict:
        """Change ``caption``; add ``title`` and, where there are wordings, their keys."""
        caption = results.setdefault('title', results['caption'])
        wordings = results.get('wordings') or ()
        if wordings:
            results.setdefault('wording_keys', tuple(map(text_key, wordings)))
        fate = np.random.random()
        if wordings and fate < self.other:
            chosen = np.random.randint(len(wordings))
            caption = wordings[chosen]
            results['wording_key'] = results['wording_keys'][chosen]
        elif self.drop:
            words = np.array(caption.split(), dtype=object)
            kept = words[np.random.random(len(words)) >= self.drop]
            caption = ' '.join(kept) or caption
        if self.shuffle and np.random.random() < self.shuffle:
            caption = ' '.join(np.random.permutation(np.array(caption.split(), dtype=object)))
        results['caption'] = caption
        return results
