"""Contract: the demo's products differ, are reproducible, and match their captions."""

from collections import Counter

import numpy as np
import pytest

from mvlt.tools.dataset_converters.make_demo_data import (
    COLOURS,
    CUTS,
    Product,
    draw_products,
    render,
    split_products,
)


def test_products_are_different_and_seeded():
    products = draw_products(40, seed=0)
    assert len({p[1:] for p in products}) == len(products) == 40 * len(CUTS)
    assert products == draw_products(40, seed=0) != draw_products(40, seed=1)
    assert len({p.name + p.description for p in products}) == len(products)


def test_no_look_is_in_both_splits():
    train, validation = split_products(draw_products(30, seed=0), train=20)
    assert Counter(p.cut for p in train) == dict.fromkeys(CUTS, 20)
    assert Counter(p.cut for p in validation) == dict.fromkeys(CUTS, 10)
    assert not {p[1:] for p in train} & {p[1:] for p in validation}


def test_the_image_has_the_colour_that_the_caption_names():
    for colour, rgb in COLOURS.items():
        product = Product(1, 'T-SHIRTS', colour, 'plain', '', 'cotton')
        assert colour.title() in product.name
        centre = render(product, 'front', 64, seed=0)[30:36, 30:34].reshape(-1, 3)
        assert np.abs(centre.astype(int) - rgb).max() <= 2


def test_views_differ_and_are_repeatable():
    product = draw_products(1, seed=0)[0]
    images = [render(product, view, 32, seed=0) for view in ('front', 'turned', 'back', 'detail')]
    for i, image in enumerate(images):
        assert not any(np.array_equal(image, other) for other in images[:i])
    assert np.array_equal(images[1], render(product, 'turned', 32, seed=0))


def test_too_many_products_are_refused():
    with pytest.raises(ValueError, match='too few different looks'):
        draw_products(501, seed=0)
