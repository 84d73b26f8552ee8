"""Captions to token ids, and words hidden from the model."""

import numpy as np
from mmcv.transforms import BaseTransform

from mvlt.datasets.vocabulary import Vocabulary, load_vocabulary
from mvlt.registry import TRANSFORMS


class _WithVocabulary(BaseTransform):
    """Reads its vocabulary when the first caption comes, not when it is built."""

    modality = 'texts'

    def __init__(self, vocabulary: str, download: bool = False) -> None:
        self.source = vocabulary
        self.download = download

    @property
    def vocabulary(self) -> Vocabulary:
        """The word pieces."""
        return load_vocabulary(self.source, self.download)


@TRANSFORMS.register_module()
class Tokenize(_WithVocabulary):
    """``caption`` -> ``token_ids`` int64 (T,): [CLS], word pieces, [SEP].

    Args:
        vocabulary: a tokenizer's folder, or a hub name (:class:`mvlt.datasets.Vocabulary`).
        max_len: longest sequence, both special tokens included; longer captions are cut.
        download: allow the network for a hub name.
    """

    def __init__(self, vocabulary: str, max_len: int = 128, download: bool = False) -> None:
        super().__init__(vocabulary, download)
        if max_len < 3:
            raise ValueError(f'Tokenize.max_len={max_len}: [CLS], a word and [SEP] need 3')
        self.max_len = max_len

    def transform(self, results: dict) -> dict:
        """Add ``token_ids``."""
        ids = self.vocabulary.encode(results['caption'], self.max_len)
        results['token_ids'] = np.array(ids, dtype=np.int64)
        return results


@TRANSFORMS.register_module()
class MaskWords(_WithVocabulary):
    """Hide words as BERT does (paper Sec. 3.2, footnote 1).

    Each word piece is chosen with probability ``ratio``; special tokens never are. A chosen one
    becomes [MASK] with ``mask_prob``, another ordinary word piece with ``random_prob``, and stays
    as it is otherwise.

    Args:
        vocabulary: as of :class:`Tokenize`.
        ratio: r_l, 0 to 1.
        mask_prob, random_prob: 0 to 1, together at most 1. BERT's 0.8 and 0.1 by default; 1 and 0
            is what Sec. 3.2 says literally.
        download: allow the network for a hub name.
    """

    def __init__(
        self,
        vocabulary: str,
        ratio: float = 0.15,
        mask_prob: float = 0.8,
        random_prob: float = 0.1,
        download: bool = False,
    ) -> None:
        super().__init__(vocabulary, download)
        if not 0 <= ratio <= 1:
            raise ValueError(f'MaskWords.ratio={ratio}: a probability from 0 to 1 is needed')
        if min(mask_prob, random_prob) < 0 or mask_prob + random_prob > 1 + 1e-9:
            raise ValueError(
                f'MaskWords: mask_prob={mask_prob} and random_prob={random_prob} must not be '
                'negative nor exceed 1 together'
            )
        self.ratio = ratio
        self.mask_prob = mask_prob
        self.random_prob = random_prob
        self._ordinary: np.ndarray | None = None

    def transform(self, results: dict) -> dict:
        """Change ``token_ids``; add ``word_labels`` int64 (T,), -1 where nothing is hidden."""
        ids = results['token_ids']
        ordinary = self.ordinary_ids
        chosen = np.isin(ids, ordinary) & (np.random.random(len(ids)) < self.ratio)
        results['word_labels'] = np.where(chosen, ids, -1)
        fate = np.random.random(len(ids))
        drawn = np.random.choice(ordinary, len(ids))
        hidden = np.where(fate < self.mask_prob, self.vocabulary.mask_id, ids)
        swapped = (fate >= self.mask_prob) & (fate < self.mask_prob + self.random_prob)
        hidden = np.where(swapped, drawn, hidden)
        results['token_ids'] = np.where(chosen, hidden, ids)
        return results

    @property
    def ordinary_ids(self) -> np.ndarray:
        """Ids that may be hidden or drawn: neither special nor unused."""
        if self._ordinary is None:
            special = self.vocabulary.special_ids
            self._ordinary = np.setdiff1d(np.arange(len(self.vocabulary)), special)
        return self._ordinary
