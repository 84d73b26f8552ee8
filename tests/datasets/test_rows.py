"""Contract: records of a table are created on access, also in slices and copies."""

import pickle

from mvlt.datasets import Catalogue


def test_rows_of_a_table_are_made_when_they_are_asked_for(catalogue):
    """Parts of a dataset and copies for data workers see the same rows."""
    settings = dict(
        data_root=str(catalogue),
        ann_file='products.csv',
        columns=dict(image='image', product_id='id'),
        caption='{title}. {colour}',
        split='all',
    )
    dataset = Catalogue(**settings)
    rows = dataset.load_data_list()
    assert [record['product_id'] for record in rows[5:8]] == ['5', '6', '7']
    assert [record['product_id'] for record in rows[5:][-2:]] == ['18', '19']
    assert rows[-1]['caption'] == 'Thing number 19. Red'
    assert len(Catalogue(**settings, indices=4)) == 4
    some = Catalogue(**settings, indices=[7, 2])
    assert [some.get_data_info(i)['product_id'] for i in (0, 1)] == ['7', '2']
    copied = pickle.loads(pickle.dumps(dataset))
    assert copied.get_data_info(6) == dataset.get_data_info(6)
