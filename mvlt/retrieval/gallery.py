"""The galleries of the full protocol and their positives.

Legend: I distinct images, J distinct captions.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mvlt.structures import text_key


class Gallery(NamedTuple):
    """Distinct images and captions of a split.

    images, texts: the first row of each, (I,) and (J,).
    texts_of: for each image, the captions of its product, sorted.
    images_of: for each caption, the images of every product with it, sorted.
    """

    images: list[int]
    texts: list[int]
    texts_of: list[np.ndarray]
    images_of: list[np.ndarray]

    def positives(self, start: int, stop: int) -> np.ndarray:
        """Positive captions of the images ``start`` to ``stop``, bool (stop - start, J)."""
        positives = np.zeros((stop - start, len(self.texts)), dtype=bool)
        for row, texts in zip(positives, self.texts_of[start:stop]):
            row[texts] = True
        return positives


def make_gallery(records: Sequence[Mapping], merge_captions: bool = True) -> Gallery:
    """Galleries of a split: every image and caption of a product is a positive.

    Images are distinct by ``img_path``, or by row without one; captions by
    :func:`mvlt.structures.text_key`, so products that share a caption share positives.

    Args:
        records: rows with ``product_id``, ``caption`` and optionally ``img_path``.
        merge_captions: False makes each row's caption an entry, as COCO's protocol does (25,010
            captions of 5,000 test images, some equal). An equal caption of another product is then
            a negative.
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
        product_images, product_texts = of_product.setdefault(record['product_id'], (set(), set()))
        product_images.add(image)
        product_texts.add(text)
    texts_of = [
        np.array(sorted(set().union(*(of_product[product][1] for product in products))))
        for products in products_of
    ]
    images_of: list[list[int]] = [[] for _ in text_rows]
    for image, texts_of_image in enumerate(texts_of):
        for text in texts_of_image:
            images_of[text].append(image)
    return Gallery(image_rows, text_rows, texts_of, [np.array(images) for images in images_of])
