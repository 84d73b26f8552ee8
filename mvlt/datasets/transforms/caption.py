"""Caption augmentation: other captions, dropped brands and words, shuffled words."""

import numpy as np
from mmcv.transforms import BaseTransform

from mvlt.datasets.brands import without_brand
from mvlt.registry import TRANSFORMS
from mvlt.structures import text_key


@TRANSFORMS.register_module()
class AugmentCaption(BaseTransform):
    """Replace ``caption`` by another one, or drop and shuffle its words.

    ``title`` keeps the caption of the dataset. ``other_captions`` of the record replace it, e.g.
    those that ``caption_templates`` of :class:`mvlt.datasets.Catalogue` give; the one that was
    chosen has its entry of ``other_caption_keys`` as ``read_caption_key``. A record without
    ``other_caption_keys`` gets the normalised captions.

    Args:
        other: probability of another caption, 0 to 1; no effect on records that have none.
        drop: probability of dropping each word, 0 to 1; another caption keeps all its words. A
            caption that would lose all of them keeps all.
        shuffle: probability of shuffling the words, 0 to 1.
        drop_brand: probability of dropping the record's ``brand``, 0 to 1; another caption keeps
            it. Needs ``brand`` of :class:`mvlt.datasets.Catalogue`.
    """

    modality = 'texts'

    def __init__(
        self,
        other: float = 0.0,
        drop: float = 0.0,
        shuffle: float = 0.0,
        drop_brand: float = 0.0,
    ) -> None:
        settings = dict(other=other, drop=drop, shuffle=shuffle, drop_brand=drop_brand)
        for name, value in settings.items():
            if not 0 <= value <= 1:
                raise ValueError(f'AugmentCaption.{name}={value}: a probability from 0 to 1')
        self.other = other
        self.drop = drop
        self.shuffle = shuffle
        self.drop_brand = drop_brand

    def transform(self, results: dict) -> dict:
        """Change ``caption``; add ``title`` and the keys of other captions."""
        caption = results.setdefault('title', results['caption'])
        other_captions = results.get('other_captions') or ()
        if other_captions:
            results.setdefault('other_caption_keys', tuple(map(text_key, other_captions)))
        fate = np.random.random()
        if other_captions and fate < self.other:
            chosen = np.random.randint(len(other_captions))
            caption = other_captions[chosen]
            results['read_caption_key'] = results['other_caption_keys'][chosen]
        else:
            caption = self._drop(caption, results)
        if self.shuffle and np.random.random() < self.shuffle:
            caption = ' '.join(np.random.permutation(np.array(caption.split(), dtype=object)))
        results['caption'] = caption
        return results

    def _drop(self, caption: str, results: dict) -> str:
        if self.drop_brand:
            if 'brand' not in results:
                raise KeyError(
                    "AugmentCaption.drop_brand: records have no brand; set brand='guess' of the "
                    'Catalogue'
                )
            if np.random.random() < self.drop_brand:
                caption = without_brand(caption, results['brand'])
        if self.drop:
            words = np.array(caption.split(), dtype=object)
            kept = words[np.random.random(len(words)) >= self.drop]
            caption = ' '.join(kept) or caption
        return caption
