"""Contract: decide gives the meaning of columns and writes nothing."""

import json

import pandas as pd
import pytest

from mvlt.datasets import Catalogue
from mvlt.datasets.column_guesses import guess_description, looks_like_several
from mvlt.datasets.columns import (
    Meaning,
    Template,
    decide,
    description_of,
)
from mvlt.retrieval.records import open_catalogue

NONE = frozenset({'', 'NA'})
CONFIG = dict(
    columns=dict(
        image='image', product_id='id', main_category='subCategory', sub_category='articleType'
    ),
    caption='{productDisplayName}',
)


def _table(**columns):
    return pd.DataFrame(columns, dtype=str)


def test_templates():
    names = ['title', 'Base Colour', 'brand', 'kind', 'Size: EU']
    cells = {'title': 'Shoe', 'Base Colour': 'Red', 'brand': '', 'kind': 'Sneaker', 'Size: EU': '4'}
    for text, filled in (
        ('{title}. {Base Colour}', 'Shoe. Red'),
        ('{title} {brand}, {kind}', 'Shoe , Sneaker'),
        ('{brand|Base Colour kind}', 'Red Sneaker'),  # a column with a blank in its name
        ('{brand|NOTHING}', None),
        ('{title|brand kind}', 'Shoe'),
        ('{Size: EU}', '4'),
        ('{brand}', ''),
        ('{brand} - .', ''),
        ('{{title}} {title}', '{title} Shoe'),
    ):
        if filled is None:
            with pytest.raises(KeyError, match='NOTHING'):
                Template(text, names)
        else:
            assert Template(text, names).fill(cells, NONE) == filled
    assert Template('{brand|Base Colour kind}', names).columns == ['brand', 'Base Colour', 'kind']
    with pytest.raises(ValueError, match='caption template'):
        Template('{title', names)


@pytest.mark.parametrize(
    ('columns', 'image', 'caption', 'more'),
    [
        # by cells: the file's column has no usual name, the usual name holds URLs
        (
            dict(Image=['http://a/b.jpg'] * 2, Datei=['a.jpg', 'b.PNG'], Titel=['Rot', 'Blau']),
            'Datei',
            '{Titel}',
            {},
        ),
        # the column of most words, without a usual name
        (
            dict(sku=['1', '2'], f=['1.jpg', '2.jpg'], text=['a red summer dress', 'a blue shoe']),
            'f',
            '{text}',
            dict(product_id='sku'),
        ),
        # a fallback for empty titles
        (
            dict(image=['1.jpg', '2.jpg'], title=['Shoe', ''], brand=['A', 'B'], type=['S', 'T']),
            'image',
            '{title|brand type}',
            dict(sub_category='type'),
        ),
        # no title at all
        (
            dict(image=['1.jpg', '2.jpg'], color=['red', 'blue'], type=['S', 'T']),
            'image',
            '{color} {type}',
            dict(sub_category='type'),
        ),
        # the two finest levels of three
        (
            dict(
                image=['1.jpg'], masterCategory=['a'], subCategory=['b'], articleType=['c'],
                name=['x'],
            ),
            'image',
            '{name}',
            dict(main_category='subCategory', sub_category='articleType'),
        ),
    ],
)  # fmt: skip
def test_guesses_by_cells(columns, image, caption, more):
    frame = _table(**columns)
    guess = guess_description(list(frame), frame)
    assert guess['columns'] == dict(image=image, **more)
    assert guess['caption'] == caption


@pytest.mark.parametrize(
    ('names', 'columns', 'caption', 'more'),
    [
        (
            ['SKU', 'Photo', 'Title', 'Category', 'Type'],
            dict(image='Photo', product_id='SKU', main_category='Category', sub_category='Type'),
            '{Title}',
            dict(caption_templates=['{Type}']),
        ),
        (['image_path', 'Product Name'], dict(image='image_path'), '{Product Name}', {}),
        (
            ['img', 'name', 'Type', 'Base Colour', 'sex'],
            dict(image='img', sub_category='Type'),
            '{name}',
            dict(
                attributes=dict(colour='Base Colour', gender='sex'),
                caption_templates=[
                    *('{sex} {Base Colour} {Type}', '{Base Colour} {Type}'),
                    *('{sex} {Type}', '{Type}'),
                ],
            ),
        ),
        (['a', 'b'], {}, '', {}),
    ],
)
def test_columns_by_their_names(names, columns, caption, more):
    assert guess_description(names, pd.DataFrame(columns=names, dtype=str)) == dict(
        columns=columns, caption=caption, **more
    )


def test_several_images_in_a_cell():
    for cell in ('a.jpg|b.jpg', 'a.jpg; b.jpg', 'a.jpg\nb.jpg', 'a.jpg, b.jpg'):
        assert looks_like_several(cell) == ['a.jpg', 'b.jpg']
    assert looks_like_several('red, blue.jpg') == ['red, blue.jpg']


def test_training_and_page_read_the_same_and_write_nothing(tmp_path):
    (tmp_path / '1.jpg').write_bytes(b'')
    lines = 'image,id,masterCategory,subCategory,articleType,productDisplayName\n'
    lines += ''.join(f'1.jpg,{i},Apparel,Topwear,Tshirts,Shirt {i}\n' for i in range(9))
    (tmp_path / 'products.csv').write_text(lines)
    settings = dict(data_root=str(tmp_path), ann_file='products.csv', **CONFIG)
    training = Catalogue(**{**settings, **Catalogue.decide(settings)[0]}, split='all')
    page = open_catalogue(tmp_path / 'products.csv')
    assert training.metainfo == page.metainfo
    assert page.metainfo['sub_category'] == ('Tshirts',)
    assert page.get_data_info(3)['caption'] == 'Shirt 3'
    assert {path.name for path in tmp_path.iterdir()} == {'1.jpg', 'products.csv'}


def test_a_table_that_lacks_the_configs_columns_is_guessed(tmp_path):
    path = tmp_path / 'goods.csv'
    frame = _table(SKU=['1', '2'], Foto=['1.jpg', '2.jpg'], Titel=['Rot', 'Blau'])
    given = Meaning(CONFIG['columns'], CONFIG['caption'], dict(colour='baseColour'), ('{kind}',))
    decision = decide(path, list(frame), lambda: frame, given)
    assert decision.meaning == Meaning(dict(image='Foto', product_id='SKU'), '{Titel}', {}, ())
    assert set(decision.sources.values()) == {'the table'}
    assert not list(tmp_path.iterdir())


def test_what_is_guessed_of_attributes_joins_what_the_config_names(tmp_path):
    """The table has the config's gender; its colour has another name."""
    frame = pd.DataFrame(
        dict(image=['a.jpg'], title=['A red hat'], type=['Hats'], colour=['Red'], gender=['All'])
    )
    given = Meaning(dict(image='picture'), '{name}', dict(colour='baseColour', gender='gender'), ())
    meaning = decide(tmp_path / 'a.csv', list(frame), lambda: frame, given).meaning
    assert meaning.attributes == dict(colour='colour', gender='gender')
    assert '{gender} {colour} {type}' in meaning.caption_templates


def test_a_config_that_fits_goes_before_the_table_not_before_the_file(tmp_path):
    path, names = tmp_path / 'a.csv', ['image', 'title', 'colour']

    def opened(caption):
        return decide(path, names, lambda: None, Meaning(dict(image='image'), caption, {}, ()))

    assert opened('{colour} {title}').meaning.caption == '{colour} {title}'
    assert opened('{title}').sources['caption'] == 'the config'
    description = description_of(opened('{title}').meaning)
    assert description == dict(columns=dict(image='image'), caption='{title}')
    (tmp_path / 'a.json').write_text(json.dumps(description))
    decision = opened('{colour} {title}')
    assert decision.meaning.caption == '{title}' and decision.sources['caption'].endswith('a.json')


def test_what_cannot_be_guessed_is_asked_for(tmp_path):
    frame = _table(a=['1'], b=['2'])
    with pytest.raises(KeyError, match=r'which column holds images and captions .*a\.json.*WHICH'):
        decide(tmp_path / 'a.csv', list(frame), lambda: frame, None)
    frame = _table(image=['1.jpg'], b=['2'])
    with pytest.raises(KeyError, match='which column holds captions .*"image": "image"'):
        decide(tmp_path / 'a.csv', list(frame), lambda: frame, None)
    assert not list(tmp_path.iterdir())
