"""Contract: a brand is the beginning that captions share; it never takes the name of a class."""

import pytest

from mvlt.datasets.brands import Brands, brand_key, without_brand

CAPTIONS = (
    'Reid & Taylor Men Blue Shirt',
    'Reid & Taylor Men Grey Shirt',
    'Adidas Originals Men Shoes',
    'adidas Men Shoes',
    'ADIDAS Women Shoes',
    "Levi's Kids Red Jeans",
    'Levis Kids Blue Jeans',
    'Red Tape Men Shoes',
    'Red Tape Men Grey Shoes',
    'Lone Star Bag',
)
CLASSES = ('Men', 'Women', 'Red', 'Dark Blue', 'Shirts', 'Jeans')


@pytest.mark.parametrize(
    ('caption', 'brand'),
    [
        ('Reid & Taylor Men Blue Shirt', 'Reid & Taylor'),  # both begin so, 'Men' is a class
        ('REID & SONS Men Shirt', 'REID &'),  # as much of the name as the caption has
        ('Adidas Originals Men Shoes', 'Adidas'),  # one of three
        ("Levi's Kids Red Jeans", "Levi's Kids"),  # 'Kids' is no class here
        ('Red Tape Men Shoes', 'Red Tape'),  # the first word may be a class
        ('Lone Star Bag', 'Lone'),  # nothing to compare with
        ('Unknown Thing', ''),
        ('', ''),
    ],
)
def test_brand_of_a_caption(caption, brand):
    assert Brands(CAPTIONS, CLASSES).of(caption) == brand


def test_order_and_repeats_do_not_count():
    brands, again = Brands(CAPTIONS, CLASSES), Brands(CAPTIONS[::-1] * 3, CLASSES[::-1])
    assert [brands.of(text) for text in CAPTIONS] == [again.of(text) for text in CAPTIONS]


def test_half_is_not_enough():
    assert Brands(('Red Tape Shoe', 'Red Chief Shoe')).of('Red Tape Shoe') == 'Red'
    assert Brands(('Red Tape A', 'Red Tape B', 'Red Chief')).of('Red Tape A') == 'Red Tape'


def test_classes_end_a_brand_word_by_word_whatever_their_number():
    captions = ('Nike Men Shirts A', 'Nike Men Shirts B')
    assert Brands(captions).of(captions[0]) == 'Nike Men Shirts'
    assert Brands(captions, ('Polo Shirt',)).of(captions[0]) == 'Nike Men'
    assert Brands(('Nike T-Shirt A', 'Nike T-Shirt B'), ('Tshirts',)).of('Nike T-Shirt') == 'Nike'


def test_key_is_the_first_word():
    assert {brand_key(text) for text in ("Levi's Men", 'LEVIS Women', ' levís')} == {'levis'}
    assert brand_key('U.S. Polo Assn.') == 'us'
    assert brand_key('') == brand_key('- ') == ''


@pytest.mark.parametrize(
    ('caption', 'brand', 'rest'),
    [
        ('Nike Men Shirt', 'Nike', 'Men Shirt'),
        ('Shirt by NIKE, blue', 'Nike', 'Shirt by , blue'),
        ('Blue shirt - Nike', 'Nike', 'Blue shirt'),
        ('Nikes for Men', 'Nike', 'Nikes for Men'),  # whole words
        ('W Women W', 'W', 'Women W'),  # the first mention
        ('U.S. Polo Assn. Men', 'U.S. Polo Assn.', 'Men'),
        ('Nike', 'Nike', 'Nike'),  # nothing is left
        ('Nike Men', '', 'Nike Men'),
    ],
)
def test_without_brand(caption, brand, rest):
    assert without_brand(caption, brand) == rest
