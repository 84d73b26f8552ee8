"""Captions to token ids, and words hidden from the model."""

import numpy as np
from mmcv.transforms import BaseTransform

from mvlt.datasets.tokenizer import CaptionTokenizer, load_tokenizer
from mvlt.registry import TRANSFORMS


class _WithVocabulary(BaseTransform):
    """Reads its tokenizer when the first caption comes, not when it is built."""

    modality = 'texts'

    def __init__(self, tokenizer: str, download: bool = False) -> None:
        self.source = tokenizer
        self.download = download

    @property
    def tokenizer(self) -> CaptionTokenizer:
        """The word pieces."""
        return load_tokenizer(self.source, self.download)


@TRANSFORMS.register_module()
class Tokenize(_WithVocabulary):
    """``caption`` -> ``token_ids`` int64 (T,): [CLS], word pieces, [SEP].

    Args:
        tokenizer: a tokenizer's folder, or a hub name (:class:`mvlt.datasets.CaptionTokenizer`).
        max_length: longest sequence, both special tokens included; longer captions are cut.
        download: allow the network for a hub name.
    """

    def __init__(self, tokenizer: str, max_length: int = 128, download: bool = False) -> None:
        super().__init__(tokenizer, download)
        if max_length < 3:
            raise ValueError(f'Tokenize.max_length={max_length}: [CLS], a word and [SEP] need 3')
        self.max_length = max_length

    def transform(self, results: dict) -> dict:
        """Add ``token_ids``."""
        ids = self.tokenizer.encode(results['caption'], self.max_length)
        results['token_ids'] = np.array(ids, dtype=np.int64)
        return results


@TRANSFORMS.register_module()
class MaskWords(_WithVocabulary):
    """Hide words as BERT does (paper Sec. 3.2, footnote 1).

    Each word piece is chosen with probability ``ratio``; special tokens never are. A chosen one
    becomes [MASK] with ``mask_prob``, another ordinary word piece with ``random_prob``, and stays
    as it is otherwise.

    Args:
        tokenizer: as of :class:`Tokenize`.
        ratio: r_l, 0 to 1.
        mask_prob, random_prob: 0 to 1, together at most 1. BERT's 0.8 and 0.1 by default; 1 and 0
            is what Sec. 3.2 says literally.
        download: allow the network for a hub name.
    """

    def __init__(
        self,
        tokenizer: str,
        ratio: float = 0.15,
        mask_prob: float = 0.8,
        random_prob: float = 0.1,
        download: bool = False,
    ) -> None:
        super().__init__(tokenizer, download)
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
        """Change ``token_ids``; add ``mlm_labels`` int64 (T,), -1 where nothing is hidden."""
        ids = results['token_ids']
        ordinary = self.ordinary_ids
        chosen = np.isin(ids, ordinary) & (np.random.random(len(ids)) < self.ratio)
        results['mlm_labels'] = np.where(chosen, ids, -1)
        fate = np.random.random(len(ids))
        drawn = np.random.choice(ordinary, len(ids))
        hidden = np.where(fate < self.mask_prob, self.tokenizer.mask_id, ids)
        swapped = (fate >= self.mask_prob) & (fate < self.mask_prob + self.random_prob)
        hidden = np.where(swapped, drawn, hidden)
        results['token_ids'] = np.where(chosen, hidden, ids)
        return results

    @property
    def ordinary_ids(self) -> np.ndarray:
        """Ids that may be hidden or drawn: neither special nor unused."""
        if self._ordinary is None:
            special = self.tokenizer.special_ids
            self._ordinary = np.setdiff1d(np.arange(len(self.tokenizer)), special)
        return self._ordinary
