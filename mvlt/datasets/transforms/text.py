"""Tokenization, and masking of tokens."""

from functools import cached_property

import numpy as np
from mmcv.transforms import BaseTransform

from mvlt.datasets.tokenizer import CaptionTokenizer, load_tokenizer
from mvlt.registry import TRANSFORMS


class _WithTokenizer(BaseTransform):
    """A step that loads its tokenizer with the first caption, not when it is built."""

    modality = 'texts'

    def __init__(self, tokenizer: str, download: bool = False) -> None:
        self.source = tokenizer
        self.download = download

    @property
    def tokenizer(self) -> CaptionTokenizer:
        """The tokenizer."""
        return load_tokenizer(self.source, self.download)


@TRANSFORMS.register_module()
class Tokenize(_WithTokenizer):
    """``caption`` -> ``token_ids`` int64 (T,): [CLS], tokens, [SEP].

    Args:
        tokenizer: folder or hub name (:class:`mvlt.datasets.CaptionTokenizer`).
        max_length: most token ids, both special ones included; longer captions are truncated.
        download: allow the network for a hub name.
    """

    def __init__(self, tokenizer: str, max_length: int = 128, download: bool = False) -> None:
        super().__init__(tokenizer, download)
        if max_length < 3:
            raise ValueError(f'Tokenize.max_length={max_length}: [CLS], a token and [SEP] need 3')
        self.max_length = max_length

    def transform(self, results: dict) -> dict:
        """Add ``token_ids``."""
        ids = self.tokenizer.encode(results['caption'], self.max_length)
        results['token_ids'] = np.array(ids, dtype=np.int64)
        return results


@TRANSFORMS.register_module()
class MaskWords(_WithTokenizer):
    """Mask tokens as BERT does (paper Sec. 3.2, footnote 1).

    Each token is chosen with probability ``ratio``; special tokens never are. A chosen token
    becomes [MASK] with ``mask_prob``, another ordinary token with ``random_prob``, and stays as it
    is otherwise.

    Args:
        tokenizer, download: see :class:`Tokenize`.
        ratio: r_l, 0 to 1.
        mask_prob, random_prob: 0 to 1, together at most 1; BERT's 0.8 and 0.1 by default. Sec. 3.2
            read literally is 1 and 0.
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

    def transform(self, results: dict) -> dict:
        """Change ``token_ids``; add ``mlm_labels`` int64 (T,), -1 at tokens not chosen."""
        ids = results['token_ids']
        chosen = np.isin(ids, self.ordinary_ids) & (np.random.random(len(ids)) < self.ratio)
        results['mlm_labels'] = np.where(chosen, ids, -1)
        fate = np.random.random(len(ids))
        random_ids = np.random.choice(self.ordinary_ids, len(ids))
        masked = np.where(fate < self.mask_prob, self.tokenizer.mask_id, ids)
        swapped = (fate >= self.mask_prob) & (fate < self.mask_prob + self.random_prob)
        masked = np.where(swapped, random_ids, masked)
        results['token_ids'] = np.where(chosen, masked, ids)
        return results

    @cached_property
    def ordinary_ids(self) -> np.ndarray:
        """Ids that may be masked or drawn: neither special nor unused."""
        return np.setdiff1d(np.arange(len(self.tokenizer)), self.tokenizer.special_ids)
