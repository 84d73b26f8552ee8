"""The two galleries of the full protocol, and which of their items belong together.

Legend: I distinct pictures, J distinct captions.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mvlt.structures import text_key


class Gallery(NamedTuple):
    """Distinct pictures and captions of a split.

    images, texts: the first row that has each of them, (I,) and (J,).
    texts_of: for each picture, the captions of its product, sorted.
    images_of: for each caption, the pictures of every product that has it, sorted.
    """

    images: list[int]
    texts: list[int]
    texts_of: list[np.ndarray]
    images_of: list[np.ndarray]

    def positives(self, start: int, stop: int) -> np.ndarray:
        """Which captions belong to the pictures ``start`` to ``stop``, bool (stop - start, J)."""
        found = np.zeros((stop - start, len(self.texts)), dtype=bool)
        for place, texts in enumerate(self.texts_of[start:stop]):
            found[place, texts] = True
        return found


def make_gallery(records: Sequence[Mapping], merge_captions: bool = True) -> Gallery:
    """Galleries of a split: any picture of a product counts, and any of its captions.

    Pictures are told apart by ``img_path``, or by row where there is none; captions by
    :func:`mvlt.structures.text_key`, so products that share a caption count as found with it.

    Args:
        records: ``product_id``, ``caption`` and, where there is one, ``img_path``, a row each.
        merge_captions: False keeps the caption of each row apart, as COCO's protocol does: 25,010
            of its 5,000 test pictures, some of them equal. Only the own product's pictures then
            count, and an equal caption of another product is wrong.
    """
    images: dict[object, int] = {}
    texts: dict[object, int] = {}
    of_product: dict[str, tuple[set[int], set[int]]] = {}
    image_rows: list[int] = []
    text_rows: list[int] = []
    products_of: list[set[str]] = []
    for row, record in enumerate(records):
        image = images.setdefault(record.get('img_path', row), len(images))
        key = text_key(record['caption']) if merge_captions else row
        text = texts.setdefault(key, len(texts))
        if image == len(image_rows):
            image_rows.append(row)
            products_of.append(set())
        if text == len(text_rows):
            text_rows.append(row)
        products_of[image].add(record['product_id'])
        own = of_product.setdefault(record['product_id'], (set(), set()))
        own[0].add(image)
        own[1].add(text)
    texts_of = [
        np.array(sorted(set().union(*(of_product[product][1] for product in products))))
        for products in products_of
    ]
    images_of: list[list[int]] = [[] for _ in text_rows]
    for image, found in enumerate(texts_of):
        for text in found:
            images_of[text].append(image)
    return Gallery(image_rows, text_rows, texts_of, [np.array(one) for one in images_of])
