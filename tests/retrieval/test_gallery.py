"""Contract: any view and any caption of a product counts; what is there twice stands once."""

import numpy as np

from mvlt.retrieval.gallery import make_gallery


def _record(product, image, caption):
    return dict(product_id=product, img_path=image, caption=caption)


def test_views_and_captions_by_hand():
    gallery = make_gallery(
        [
            _record('a', 'a0', 'red bag'),
            _record('a', 'a1', 'red bag'),
            _record('b', 'b0', 'blue bag'),
            _record('b', 'b0', 'a blue bag'),  # COCO: another caption of the same picture
            _record('c', 'c0', 'red bag'),  # another product with a's caption
        ]
    )
    assert gallery.images == [0, 1, 2, 4]
    assert gallery.texts == [0, 2, 3]
    assert [one.tolist() for one in gallery.texts_of] == [[0], [0], [1, 2], [0]]
    assert [one.tolist() for one in gallery.images_of] == [[0, 1, 3], [2], [2]]
    assert np.array_equal(
        gallery.positives(1, 4), np.array([[1, 0, 0], [0, 1, 1], [1, 0, 0]], dtype=bool)
    )


def test_another_caption_of_another_view_counts_too():
    gallery = make_gallery([_record('a', 'a0', 'front'), _record('a', 'a1', 'back')])
    assert [one.tolist() for one in gallery.texts_of] == [[0, 1], [0, 1]]


def test_pictures_without_a_path_are_told_apart_by_row():
    gallery = make_gallery([dict(product_id='a', caption='x'), dict(product_id='a', caption='x')])
    assert gallery.images == [0, 1] and gallery.texts == [0]


def test_captions_kept_apart():
    """COCO's protocol: each caption is a query, and its own picture alone counts."""
    gallery = make_gallery(
        [
            _record('a', 'a0', 'a cat'),
            _record('a', 'a0', 'a cat on a mat'),
            _record('b', 'b0', 'a cat'),  # another picture with an equal caption
        ],
        merge_captions=False,
    )
    assert gallery.texts == [0, 1, 2] and gallery.images == [0, 2]
    assert [one.tolist() for one in gallery.texts_of] == [[0, 1], [2]]
    assert [one.tolist() for one in gallery.images_of] == [[0], [0], [1]]
