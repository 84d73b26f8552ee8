"""What an index finds is what exact products of vectors find; a changed catalogue is followed."""

import csv

import numpy as np
import pytest
from PIL import Image

from mvlt.apis import ProductSearch, TextToImageRetrievalInferencer
from mvlt.checkpoints.opening import open_model


@pytest.fixture(scope='module')
def opened(tower_folder):
    return open_model(tower_folder)


@pytest.fixture
def search(opened, catalogue, tmp_path):
    """The 20 products in a LanceDB folder; titles of words that the vocabulary knows."""
    rewrite(catalogue, lambda row: row | dict(price=str(10 * int(row['id'])), stock='yes'))
    made = ProductSearch(opened, tmp_path / 'index', show_progress=False)
    made.build(catalogue)
    return made


def rewrite(catalogue, change):
    """The table with each row changed; a row that becomes None is left out."""
    path = catalogue / 'products.csv'
    with open(path, newline='', encoding='utf-8') as file:
        rows = [row for old in csv.DictReader(file) if (row := change(old)) is not None]
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def ids(found):
    return [one['product_id'] for one in found]


def test_the_index_finds_what_the_inferencer_finds(search, opened, catalogue, tmp_path):
    gallery = TextToImageRetrievalInferencer(
        opened, device='cpu', show_progress=False, cache_dir=tmp_path / 'cache'
    ).read(catalogue)
    (expected,) = gallery('a red shoe', topk=20, order='vectors')
    found = search('a red shoe', topk=20)
    assert ids(found) == [one['product_id'] for one in expected]
    scores = [one['score'] for one in expected]
    np.testing.assert_allclose([one['score'] for one in found], scores, atol=1e-5)
    best = found[0]
    number = int(best['product_id'])
    assert best['img_path'] == f'images/{number}.png' and best['price'] == 10 * number
    assert best['caption'].startswith(f'Thing number {number}') and best['stock'] is True
    assert best['colour'] == (None if number == 3 else 'Red')
    assert (best['kind'] if 'kind' in best else best['sub_category']).startswith(('Bags', 'Shoes'))


def test_filters_and_ids(search):
    found = search('a red shoe', topk=20, where={'price': {'min': 50, 'max': 70}})
    assert sorted(ids(found), key=int) == ['5', '6', '7']
    assert search('shoe', where={'not': {'stock': True}}) == []
    with pytest.raises(ValueError, match='no column'):
        search('shoe', where={'size': 1})


def test_a_picture_or_a_product_finds_what_looks_alike(search, catalogue):
    """A picture's own product is first with a cosine of 1; asked by id it is not found itself."""
    found = search(images=str(catalogue / 'images/7.png'))
    assert found[0]['product_id'] == '7' and found[0]['score'] == pytest.approx(1, abs=1e-5)
    alike = search(products=['7'])
    assert ids(alike)[:5] == ids(found)[1:6]
    several = search(images=[str(catalogue / f'images/{i}.png') for i in (2, 7)], topk=20)
    assert len(several) == 20


def test_queries_are_sums_of_vectors(search, catalogue):
    """By hand: words + 0.5 picture - 0.5 what is not wanted, each of length 1."""
    picture = search.index.fetch(['7']).to_pylist()[0]['vector']
    words, unwanted = search.text_vectors(['shoe', 'bag'])
    expected = words + 0.5 * np.array(picture) - 0.5 * unwanted
    got = search.query('shoe', products=['7'], without='bag')
    np.testing.assert_allclose(got, expected / np.linalg.norm(expected), atol=1e-5)


def test_a_catalogue_is_followed(search, catalogue, opened):
    """Of 20: one picture, one price, one product gone, one new, one unreadable, one more view."""

    def change(row):
        if row['id'] == '4':
            return None
        return row | (dict(price='999') if row['id'] == '6' else {})

    Image.new('RGB', (40, 30), (0, 255, 0)).save(catalogue / 'images/5.png')
    rewrite(catalogue, change)
    with open(catalogue / 'products.csv', 'a', encoding='utf-8') as file:
        file.write('90,images/1.png,Thing number 90,Red,Shoes,Shoes 0,1,no\n')
        file.write('8,images/2.png,Thing number 8,Red,Bags,Bags 0,80,yes\n')
        file.write('91,images/none.png,Thing number 91,Red,Bags,Bags 0,80,yes\n')
    before = {
        row['product_id']: row['vector'] for row in search.index.fetch(['6', '8']).to_pylist()
    }
    update = search.build(catalogue)
    assert update[:6] == (21, 1, 3, 1, 3, 1)
    assert 'none.png' in str(update)
    after = search.index.fetch(['6', '8']).to_pylist()
    assert [r['price'] for r in after if r['product_id'] == '6'] == [999]
    assert [r['vector'] for r in after if r['product_id'] == '6'] == [before['6']]
    assert sorted(r['view'] for r in after if r['product_id'] == '8') == [0, 1]
    assert '4' not in ids(search('shoe', topk=30)) and len(search('shoe', topk=30)) == 20
    assert search.build(catalogue)[:6] == (21, 0, 0, 0, 0, 1)
    # a picture that can no longer be read stays as it was
    (catalogue / 'images/9.png').write_bytes(b'')
    assert search.build(catalogue)[:6] == (21, 0, 0, 0, 0, 2)
    assert '9' in ids(search('shoe', topk=30))


def test_single_products(search, catalogue):
    """What is set by hand is what the table's next run finds unchanged."""
    path = str(catalogue / 'images/7.png')
    values = {
        n: v for n, v in search.index.fetch(['7']).to_pylist()[0].items() if n in known(search)
    }
    search.upsert('7', path, **values, paths=[values.pop('img_path')])
    assert search.build(catalogue)[1:5] == (0, 0, 0, 0)
    search.upsert('new', [path, path], price='12', stock='no')
    (row,) = search('shoe', topk=1, where={'price': {'max': 12, 'min': 11}})
    assert row['product_id'] == 'new' and row['caption'] is None and row['stock'] is False
    for wrong, says in (
        (dict(colr='red'), 'no column colr'),
        (dict(price='cheap'), "column 'price'"),
        (dict(colour=3), "column 'colour'"),
    ):
        with pytest.raises(ValueError, match=says):
            search.upsert('x', path, **wrong)
    with pytest.raises(OSError):
        search.upsert('x', str(catalogue / 'products.csv'))
    assert search.delete(['new', 'x']) == 1


def known(search):
    return search.index.description.columns


def test_look_alikes_become_one(search, catalogue):
    search.upsert('twin', str(catalogue / 'images/7.png'))
    found = search(images=str(catalogue / 'images/7.png'), fold=0.9999)
    assert found[0]['product_id'] in ('7', 'twin') and len(found[0]['also']) >= 1


def test_the_second_stage(search):
    """In the order of the matching head's log-odds; if it is too late, in that of the first."""
    first = search('a red shoe', topk=5)
    matched = search('a red shoe', topk=20, order='matching')
    scores = [one['match_score'] for one in matched]
    assert scores == sorted(scores, reverse=True) and len(matched) == 20
    assert ids(search('a red shoe', topk=5, order='both', seconds=-1)) == ids(first)
    with pytest.raises(ValueError, match='needs words'):
        search(products=['7'], order='both')


def test_what_cannot_be_asked_is_said(search, opened, tmp_path, tower_folder, model_folder):
    with pytest.raises(ValueError, match='nothing is asked'):
        search()
    with pytest.raises(ValueError, match='no word that the model knows'):
        search('  ')
    with pytest.raises(ValueError, match="no product 'zz'"):
        search(products=['zz'])
    with pytest.raises(ValueError, match='topk=0'):
        search('shoe', topk=0)
    with pytest.raises(ValueError, match='itc'):
        ProductSearch(model_folder, tmp_path / 'x')
    with pytest.raises(FileNotFoundError, match='build_index'):
        ProductSearch(opened, tmp_path / 'x')('shoe')
    other = open_model(tower_folder)
    other.model.head('itc').image.weight.data += 1
    with pytest.raises(ValueError, match='another model'):
        ProductSearch(other, search.place)('shoe')


def test_folder_of_pictures(opened, catalogue, tmp_path):
    made = ProductSearch(opened, tmp_path / 'index', show_progress=False)
    assert made.build(catalogue / 'images')[:2] == (20, 20)
    assert made('shoe')[0]['img_path'] == made('shoe')[0]['product_id']
