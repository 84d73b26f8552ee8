"""Brands by the beginnings of captions, for tables without a column of brands."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from mvlt.structures import text_key

BY_CAPTION = 'caption'  # in place of a column's name


class Brands:
    """The brand that a caption begins with.

    Captions with the same first word share a brand: the longest beginning that more than half of
    them have in common, up to a word that names a class. Case and punctuation do not count.

    Example:
        'Reid & Taylor Men Shirt' and 'Reid & Taylor Men Belt', classes 'Men' and 'Shirts':
        'Reid & Taylor'.

    Args:
        captions: of the whole table; equal ones count once.
        classes: names of classes, e.g. of colours. Each of their words ends a brand, unless the
            caption begins with it.
    """

    def __init__(self, captions: Iterable[str], classes: Collection[str] = ()) -> None:
        ends = {_letters(w).removesuffix('s') for name in classes for w in text_key(name).split()}
        ends -= {''}
        beginnings: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        distinct = {text_key(caption) for caption in captions}
        for words in {tuple(map(_letters, caption.split())) for caption in distinct} - {()}:
            for length, word in enumerate(words):
                if length and word.removesuffix('s') in ends:
                    break
                beginnings[words[0]][words[: length + 1]] += 1
        self._names = {
            first: max(((first,), *_common(counts, counts[(first,)])), key=len)
            for first, counts in beginnings.items()
        }

    def of(self, caption: str) -> str:
        """The brand as the caption writes it; '' for an empty caption."""
        words = caption.split()
        name = self._names.get(brand_key(caption), ())
        length = 0
        while length < min(len(words), len(name)) and _key(words[length]) == name[length]:
            length += 1
        return ' '.join(words[:length])


def brand_key(caption: str) -> str:
    """The letters and digits of the first word, by which products of one brand stay together.

    Brands that share a first word share a key; no brand has two.

    Example:
        "Levi's Men Jeans" and 'LEVIS Women Jeans' -> 'levis'.
    """
    return _key(next(iter(caption.split()), ''))


def without_brand(caption: str, brand: str) -> str:
    """The caption without the first mention of its brand; unchanged if nothing else is left."""
    if not brand:
        return caption
    rest = re.sub(rf'(?<!\w){re.escape(brand)}(?!\w)', ' ', caption, count=1, flags=re.IGNORECASE)
    rest = ' '.join(rest.split()).strip(' ,.;:-')
    return rest if any(map(str.isalnum, rest)) else caption


def _common(counts: Mapping[tuple[str, ...], int], total: int) -> list[tuple[str, ...]]:
    """Beginnings of more than half of several captions; each of them begins the next longer."""
    return [words for words, count in counts.items() if count > 1 and 2 * count > total]


def _key(word: str) -> str:
    return _letters(text_key(word))


def _letters(text: str) -> str:
    return ''.join(filter(str.isalnum, text))
