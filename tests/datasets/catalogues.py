"""Catalogues of the fixture's table, opened and changed."""

import pandas as pd

from mvlt.datasets import Catalogue

COLUMNS = dict(image='image', product_id='id', main_category='kind', sub_category='sub')
CAPTION = '{title}. {colour}'


def open_catalogue(root, **kwargs):
    defaults = dict(ann_file='products.csv', columns=COLUMNS, caption=CAPTION, split='all')
    return Catalogue(data_root=str(root), **{**defaults, **kwargs})


def decided_catalogue(root, **kwargs):
    settings = dict(data_root=str(root), ann_file='products.csv', columns=COLUMNS, caption=CAPTION)
    settings |= kwargs
    return Catalogue(**{**settings, **Catalogue.decide(settings)[0]}, split='all')


def edit_cell(root, row: int, column: str, value: str):
    table = pd.read_csv(root / 'products.csv', dtype=str, keep_default_na=False)
    table.loc[row, column] = value
    table.to_csv(root / 'products.csv', index=False)


def ids_of(dataset):
    return [dataset.get_data_info(i)['product_id'] for i in range(len(dataset))]
