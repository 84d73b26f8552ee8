"""Contract: a negative caption is of another product and differs."""

import numpy as np
import pytest

from mvlt.datasets import FashionGen, MatchingPairs
from tests.datasets.catalogues import ids_of, open_catalogue


@pytest.fixture
def dataset(demo_data):
    return FashionGen(ann_file=str(demo_data / 'fashiongen_64_64_validation.h5'))


def _drawn(pairs, row):
    return pairs.draw(pairs.get_data_info(row))


def test_a_record_is_the_same_each_time(dataset):
    """Captions are drawn with each sample."""
    pairs = MatchingPairs(dataset, negative_prob=0.5)
    records = [pairs.get_data_info(3) for _ in range(20)]
    assert all(record == dataset.get_data_info(3) for record in records)


def test_a_mismatched_pair_says_whose_caption_it_is(dataset):
    record = _drawn(MatchingPairs(dataset, negative_prob=1.0), 0)
    owners = {
        dataset.get_data_info(i)['product_id']
        for i in range(len(dataset))
        if dataset.get_data_info(i)['caption'] == record['caption']
    }
    assert record['caption_product_id'] in owners and record['product_id'] not in owners
    assert record['image_title'] == dataset.get_data_info(0)['caption']


def test_a_brand_goes_with_its_caption(catalogue):
    pairs = MatchingPairs(open_catalogue(catalogue, brand='sub'), negative_prob=1.0)
    record = _drawn(pairs, 0)
    other = ids_of(pairs.dataset).index(record['caption_product_id'])
    assert record['brand'] == pairs.dataset.get_data_info(other)['brand']


@pytest.mark.parametrize('share', [0.0, 0.5, 1.0])
def test_share_of_mismatched_pairs(dataset, share):
    pairs = MatchingPairs(dataset, negative_prob=share)
    matched = np.array([_drawn(pairs, i % len(pairs))['matched'] for i in range(600)])
    # standard error of 600 draws at 0.5 is 0.02
    assert abs((1 - matched).mean() - share) <= (0.08 if share == 0.5 else 0)


@pytest.mark.parametrize('same_category', [0.0, 1.0])
def test_wrong_caption_is_really_wrong(dataset, same_category):
    captions = {}
    for i in range(len(dataset)):
        record = dataset.get_data_info(i)
        captions.setdefault(record['caption'], set()).add(
            (record['product_id'], record['sub_category'])
        )
    pairs = MatchingPairs(dataset, negative_prob=1.0, same_category_prob=same_category)
    for i in range(len(dataset)):
        record, true = _drawn(pairs, i), dataset.get_data_info(i)
        assert record['caption'] != true['caption']
        owners = captions[record['caption']]
        assert all(product != true['product_id'] for product, _ in owners)
        if same_category:
            assert {category for _, category in owners} == {true['sub_category']}


def test_matched_pairs_keep_their_caption(dataset):
    pairs = MatchingPairs(dataset, negative_prob=0.0)
    assert _drawn(pairs, 5)['caption'] == dataset.get_data_info(5)['caption']


class _Twins:
    """Two products with one caption."""

    def __len__(self):
        return 2

    def get_data_info(self, idx):
        caption = 'the same text' if idx else 'The  SAME text'  # equal to a tokenizer
        return dict(product_id=str(idx), caption=caption, sub_category=0)


def test_products_with_one_caption_only_are_an_error_not_a_hang():
    with pytest.raises(ValueError, match='at least two products with different captions'):
        _drawn(MatchingPairs(_Twins(), negative_prob=1.0), 0)


def test_share_above_one_is_refused():
    with pytest.raises(ValueError, match=r'negative_prob=1\.2'):
        MatchingPairs(_Twins(), negative_prob=1.2)


def test_without_sub_categories_any_product_will_do(catalogue):
    from mvlt.datasets import Catalogue

    records = Catalogue(
        data_root=str(catalogue),
        ann_file='products.csv',
        columns=dict(image='image', product_id='id'),
        caption='{title}',
        split='all',
    )
    pairs = MatchingPairs(records, negative_prob=1.0, same_category_prob=1.0)
    assert _drawn(pairs, 0)['caption'] != 'Thing number 0'
