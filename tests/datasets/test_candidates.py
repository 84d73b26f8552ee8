"""Contract: 101 different products, the positive first, of the query's category if possible."""

import random

import pytest

from mvlt.datasets import draw_candidates


def _records(products: int, views: int = 2, subs: int = 2) -> list[dict]:
    return [
        dict(
            product_id=f'p{i}',
            caption=f'caption {i}',
            main_category=i % subs // 2,
            sub_category=i % subs,
        )
        for i in range(products)
        for _ in range(views)
    ]


def test_candidates_are_other_products_of_the_same_sub_category():
    records = _records(300)
    lists = draw_candidates(records, num_queries=20)
    assert len(lists) == 20
    assert len({records[entry.query]['product_id'] for entry in lists}) == 20
    for query, candidates in lists:
        assert candidates[0] == query
        products = [records[row]['product_id'] for row in candidates]
        assert len(products) == len(set(products)) == 101
        assert {records[row]['sub_category'] for row in candidates} == {
            records[query]['sub_category']
        }


def test_small_sub_category_is_filled_from_the_main_category_then_from_anywhere():
    # sub 0 and 1 share main 0: 5 products each; sub 2, 3 share main 1
    records = _records(20, views=1, subs=4)
    for query, candidates in draw_candidates(records, 20, num_candidates=12):
        circle = [records[row] for row in candidates[1:]]
        positive = records[query]
        assert [r['sub_category'] == positive['sub_category'] for r in circle] == [True] * 4 + [
            False
        ] * 7
        assert [r['main_category'] == positive['main_category'] for r in circle] == [True] * 9 + [
            False
        ] * 2


def test_a_product_with_the_querys_caption_is_no_negative():
    records = _records(6, views=1, subs=1)
    records[4]['caption'] = records[2]['caption']
    for query, candidates in draw_candidates(records, 6, num_candidates=5):
        if query in (2, 4):
            assert {2, 4} & set(candidates) == {query}


def test_a_view_with_the_querys_caption_is_no_negative_either():
    """Products with different captions a row, one of which many share."""
    records = [
        dict(product_id=f'p{i // 2}', caption='shared' if i % 2 else f'own {i}', sub_category=0)
        for i in range(24)
    ]
    for seed in range(5):
        for query, candidates in draw_candidates(records, 12, num_candidates=10, seed=seed):
            captions = [records[row]['caption'] for row in candidates[1:]]
            assert records[query]['caption'] not in captions


def test_seed_decides_and_row_order_does_not():
    records = _records(150)
    first = draw_candidates(records, 10, seed=3)
    assert first == draw_candidates(records, 10, seed=3)
    assert first != draw_candidates(records, 10, seed=4)
    shuffled = list(enumerate(records))
    random.Random(0).shuffle(shuffled)
    again = draw_candidates([record for _, record in shuffled], 10, seed=3)

    def products(lists, rows):
        return [[rows[row]['product_id'] for row in entry.candidates] for entry in lists]

    assert products(first, records) == products(again, [r for _, r in shuffled])


def test_known_draw_stays_the_same():
    """A published protocol: this draw must be the same on every machine and version."""
    lists = draw_candidates(_records(8, views=1, subs=1), 3, num_candidates=4, seed=0)
    assert [tuple(entry) for entry in lists] == EXPECTED


EXPECTED = [(3, (3, 2, 7, 5)), (7, (7, 1, 5, 3)), (0, (0, 7, 2, 3))]


def test_without_categories_any_product_will_do():
    records = [dict(product_id=str(i), caption=str(i)) for i in range(5)]
    assert all(
        len(entry.candidates) == 5 for entry in draw_candidates(records, 2, num_candidates=5)
    )


def test_too_few_products_say_so():
    with pytest.raises(ValueError, match='49 possible negatives, a list needs 100'):
        draw_candidates(_records(50), 1)


def test_named_products_are_asked_for_in_their_order():
    records = [dict(product_id=f'p{i}', caption=f'own {i}') for i in range(6)]
    lists = draw_candidates(records, 2, num_candidates=3, products=['p4', 'p1', 'p5'])
    assert [entry.query for entry in lists] == [4, 1, 5]
    assert set(lists) <= set(draw_candidates(records, 6, num_candidates=3))  # as in a draw
    with pytest.raises(ValueError, match='no product p9 in the data; it has e.g. p0, p1'):
        draw_candidates(records, 2, num_candidates=3, products=['p9'])
