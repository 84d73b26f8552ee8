"""Other words for the same product, so that a model learns more from few captions."""

import numpy as np
from mmcv.transforms import BaseTransform

from mvlt.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RewordCaption(BaseTransform):
    """``caption`` is worded otherwise now and then, ``title`` keeps what the dataset says.

    First another wording of the record takes its place (``wordings``, e.g. of
    :class:`mvlt.datasets.Catalogue`), or some of its words are dropped; then its words may be
    shuffled. At least one word is left.

    Args:
        other: probability of another wording, 0 to 1; where the record has none, nothing happens.
        drop: probability of each word of the dataset's own caption to be left out.
        shuffle: probability that the words come in another order.
    """

    def __init__(self, other: float = 0.0, drop: float = 0.0, shuffle: float = 0.0) -> None:
        for name, value in dict(other=other, drop=drop, shuffle=shuffle).items():
            if not 0 <= value <= 1:
                raise ValueError(f'RewordCaption.{name}={value}: a probability from 0 to 1')
        self.other = other
        self.drop = drop
        self.shuffle = shuffle

    def transform(self, results: dict) -> dict:
        """Change ``caption``; add ``title``."""
        caption = results.setdefault('title', results['caption'])
        wordings = results.get('wordings') or ()
        fate = np.random.random()
        if wordings and fate < self.other:
            caption = wordings[np.random.randint(len(wordings))]
        elif self.drop:
            words = np.array(caption.split(), dtype=object)
            kept = words[np.random.random(len(words)) >= self.drop]
            caption = ' '.join(kept) or caption
        if self.shuffle and np.random.random() < self.shuffle:
            caption = ' '.join(np.random.permutation(np.array(caption.split(), dtype=object)))
        results['caption'] = caption
        return results
