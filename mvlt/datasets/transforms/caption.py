"""Other words for the same product, so that a model learns more from few captions."""

import numpy as np
from mmcv.transforms import BaseTransform

from mvlt.registry import TRANSFORMS
from mvlt.structures import text_key


@TRANSFORMS.register_module()
class AugmentCaption(BaseTransform):
    """``caption`` is worded otherwise now and then, ``title`` keeps what the dataset says.

    ``read_caption_key`` then tells what that caption names, one of ``other_caption_keys``; where a
    dataset names no columns, the other_captions themselves are these.

    First another caption of the record takes its place (``other_captions``, e.g. of
    :class:`mvlt.datasets.Catalogue`), or some of its words are dropped; then its words may be
    shuffled. At least one word is left.

    Args:
        other: probability of another caption, 0 to 1; where the record has none, nothing
            happens.
        drop: probability of each word of the dataset's own caption to be left out.
        shuffle: probability that the words come in another order.
    """

    modality = 'texts'

    def __init__(self, other: float = 0.0, drop: float = 0.0, shuffle: float = 0.0) -> None:
        for name, value in dict(other=other, drop=drop, shuffle=shuffle).items():
            if not 0 <= value <= 1:
                raise ValueError(f'AugmentCaption.{name}={value}: a probability from 0 to 1')
        self.other = other
        self.drop = drop
        self.shuffle = shuffle

    def transform(self, results: dict) -> dict:
        """Change ``caption``; add ``title`` and, where there are other_captions, their keys."""
        caption = results.setdefault('title', results['caption'])
        other_captions = results.get('other_captions') or ()
        if other_captions:
            results.setdefault('other_caption_keys', tuple(map(text_key, other_captions)))
        fate = np.random.random()
        if other_captions and fate < self.other:
            chosen = np.random.randint(len(other_captions))
            caption = other_captions[chosen]
            results['read_caption_key'] = results['other_caption_keys'][chosen]
        elif self.drop:
            words = np.array(caption.split(), dtype=object)
            kept = words[np.random.random(len(words)) >= self.drop]
            caption = ' '.join(kept) or caption
        if self.shuffle and np.random.random() < self.shuffle:
            caption = ' '.join(np.random.permutation(np.array(caption.split(), dtype=object)))
        results['caption'] = caption
        return results
