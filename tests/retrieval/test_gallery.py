"""Contract: every image and caption of a product is a positive; duplicates are one entry."""

import numpy as np

from mvlt.retrieval.gallery import make_gallery


def _record(product, image, caption):
    return dict(product_id=product, img_path=image, caption=caption)


def test_images_and_captions_by_hand():
    gallery = make_gallery(
        [
            _record('a', 'a0', 'red bag'),
            _record('a', 'a1', 'red bag'),
            _record('b', 'b0', 'blue bag'),
            _record('b', 'b0', 'a blue bag'),  # COCO: another caption of the same image
            _record('c', 'c0', 'red bag'),  # another product with a's caption
        ]
    )
    assert gallery.images == [0, 1, 2, 4]
    assert gallery.texts == [0, 2, 3]
    assert [item.tolist() for item in gallery.texts_of] == [[0], [0], [1, 2], [0]]
    assert [item.tolist() for item in gallery.images_of] == [[0, 1, 3], [2], [2]]
    assert np.array_equal(
        gallery.positives(1, 4), np.array([[1, 0, 0], [0, 1, 1], [1, 0, 0]], dtype=bool)
    )


def test_captions_of_all_images_of_a_product_are_positives():
    gallery = make_gallery([_record('a', 'a0', 'front'), _record('a', 'a1', 'back')])
    assert [item.tolist() for item in gallery.texts_of] == [[0, 1], [0, 1]]


def test_images_without_a_path_are_distinct_by_row():
    gallery = make_gallery([dict(product_id='a', caption='x'), dict(product_id='a', caption='x')])
    assert gallery.images == [0, 1] and gallery.texts == [0]


def test_captions_kept_apart():
    """COCO's protocol: each caption is a query with one positive image."""
    gallery = make_gallery(
        [
            _record('a', 'a0', 'a cat'),
            _record('a', 'a0', 'a cat on a mat'),
            _record('b', 'b0', 'a cat'),  # another image with an equal caption
        ],
        merge_captions=False,
    )
    assert gallery.texts == [0, 1, 2] and gallery.images == [0, 2]
    assert [item.tolist() for item in gallery.texts_of] == [[0, 1], [2]]
    assert [item.tolist() for item in gallery.images_of] == [[0], [0], [1]]
