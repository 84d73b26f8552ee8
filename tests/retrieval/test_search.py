"""Contract: search orders by the exact cosine; an index follows its catalogue."""

import csv
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from mvlt.apis import ImageToTextRetrievalInferencer, MatchingInferencer, Search
from mvlt.checkpoints.loading import open_model


@pytest.fixture(scope='module')
def opened(embedding_folder):
    return open_model(embedding_folder)


@pytest.fixture
def search(opened, catalogue, tmp_path):
    """The 20 products in a LanceDB folder, with captions of known words."""
    rewrite(catalogue, lambda row: row | dict(price=str(10 * int(row['id'])), stock='yes'))
    search = Search(opened, tmp_path / 'index', show_progress=False)
    search.build(catalogue)
    return search


def rewrite(catalogue, change):
    """Change each row of the table; None drops a row."""
    path = catalogue / 'products.csv'
    with open(path, newline='', encoding='utf-8') as file:
        rows = [row for old in csv.DictReader(file) if (row := change(old)) is not None]
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def ids(rows):
    return [row['product_id'] for row in rows]


def test_rows_are_ordered_by_the_cosine(search, catalogue):
    """By hand: the embeddings of all images times the embedding of the text."""
    rows = search('a red shoe', topk=20)
    embeds = search.embed_images(
        [search.pixels(np.asarray(Image.open(catalogue / f'images/{i}.png'))) for i in range(20)]
    )
    cosines = embeds @ search.text_embeds(['a red shoe'])[0]
    assert ids(rows) == [str(i) for i in np.argsort(-cosines, kind='stable')]
    np.testing.assert_allclose([row['score'] for row in rows], -np.sort(-cosines), atol=1e-5)
    best = rows[0]
    number = int(best['product_id'])
    assert best['img_path'] == f'images/{number}.png' and best['price'] == 10 * number
    assert best['caption'].startswith(f'Thing number {number}') and best['stock'] is True
    assert best['colour'] == (None if number == 3 else 'Red')
    assert (best['kind'] if 'kind' in best else best['sub_category']).startswith(('Bags', 'Shoes'))


def test_filters_and_ids(search):
    rows = search('a red shoe', topk=20, where={'price': {'min': 50, 'max': 70}})
    assert sorted(ids(rows), key=int) == ['5', '6', '7']
    assert search('shoe', where={'not': {'stock': True}}) == []
    with pytest.raises(ValueError, match='no column'):
        search('shoe', where={'size': 1})


def test_queries_by_image_and_by_product(search, catalogue):
    """An image's product is first with a cosine of 1; a query by id leaves that product out."""
    rows = search(images=str(catalogue / 'images/7.png'))
    assert rows[0]['product_id'] == '7' and rows[0]['score'] == pytest.approx(1, abs=1e-5)
    similar = search(products=['7'])
    assert ids(similar)[:5] == ids(rows)[1:6]
    several = search(images=[str(catalogue / f'images/{i}.png') for i in (2, 7)], topk=20)
    assert len(several) == 20


def test_queries_are_sums_of_embeddings(search, catalogue):
    """By hand: text + 0.5 image - 0.5 negative text, each of length 1."""
    image = search.index.fetch(['7']).to_pylist()[0]['vector']
    text, negative = search.text_embeds(['shoe', 'bag'])
    expected = text + 0.5 * np.array(image) - 0.5 * negative
    got = search.embed_query('shoe', products=['7'], negative_query='bag')
    np.testing.assert_allclose(got, expected / np.linalg.norm(expected), atol=1e-5)


def test_an_export_that_was_cut_off_deletes_nothing(search, catalogue, monkeypatch):
    monkeypatch.setattr('mvlt.retrieval.indexing._FEW_DELETED', 5)
    rewrite(catalogue, lambda row: row if int(row['id']) < 3 else None)
    with pytest.raises(ValueError, match=r"17 of 20 products .* first '10': is the export whole"):
        search.build(catalogue)
    assert search.count() == 20
    assert search.build(catalogue, max_deleted=1).deleted == 17


def test_a_cell_of_another_kind_is_named_with_its_product(search, catalogue):
    rewrite(catalogue, lambda row: row | (dict(price='on request') if row['id'] == '7' else {}))
    with pytest.raises(ValueError, match="product 7: column 'price' of the index holds numbers"):
        search.build(catalogue)
    assert search.count() == 20


def test_an_update_follows_the_catalogue(search, catalogue, opened):
    """Of 20: an image, a price, a product deleted, one new, one unreadable, an image more."""

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
    assert sorted(r['image_index'] for r in after if r['product_id'] == '8') == [0, 1]
    assert '4' not in ids(search('shoe', topk=30)) and len(search('shoe', topk=30)) == 20
    assert search.build(catalogue)[:6] == (21, 0, 0, 0, 0, 1)
    # an image that became unreadable keeps its entry
    (catalogue / 'images/9.png').write_bytes(b'')
    assert search.build(catalogue)[:6] == (21, 0, 0, 0, 0, 2)
    assert '9' in ids(search('shoe', topk=30))


def test_single_products(search, catalogue):
    """The table's next run leaves a row unchanged that was set by hand."""
    path = str(catalogue / 'images/7.png')
    columns = search.index.description.columns
    values = {n: v for n, v in search.index.fetch(['7']).to_pylist()[0].items() if n in columns}
    search.upsert('7', path, [values.pop('img_path')], **values)
    assert search.build(catalogue)[1:5] == (0, 0, 0, 0)
    search.upsert('new', [path, path], price='12', stock='no')
    (row,) = search('shoe', topk=1, where={'price': {'max': 12, 'min': 11}})
    assert row['product_id'] == 'new' and row['caption'] is None and row['stock'] is False
    for wrong, message in (
        (dict(colr='red'), 'no column colr'),
        (dict(price='cheap'), "column 'price'"),
        (dict(colour=3), "column 'colour'"),
    ):
        with pytest.raises(ValueError, match=message):
            search.upsert('x', path, **wrong)
    with pytest.raises(OSError):
        search.upsert('x', str(catalogue / 'products.csv'))
    assert search.delete(['new', 'x']) == 1


def test_near_duplicates_become_one(search, catalogue):
    search.upsert('twin', str(catalogue / 'images/7.png'))
    row = search(images=str(catalogue / 'images/7.png'), dedup_threshold=0.9999)[0]
    assert row['product_id'] in ('7', 'twin') and len(row['duplicates']) >= 1


def test_reranking(search, embedding_folder, catalogue):
    """The order of MatchingInferencer's scores; after a time-out the order without reranking."""
    first = search('a red shoe', topk=5)
    rows = search('a red shoe', topk=20, rerank='itm')
    matching = MatchingInferencer(embedding_folder, device='cpu', show_progress=False)
    paths = [catalogue / row['img_path'] for row in rows]
    scores = [pair['itm_score'] for pair in matching(paths, 'a red shoe')['predictions']]
    assert [row['itm_score'] for row in rows] == pytest.approx(scores, abs=1e-5)
    assert [row['score'] for row in rows] == pytest.approx(scores, abs=1e-5)
    assert scores == sorted(scores, reverse=True) and len(rows) == 20
    assert set(ids(search('a red shoe', topk=4, rerank='itm', rerank_topk=4))) == set(
        ids(first)[:4]
    )
    assert len(search('a red shoe', topk=7, rerank='itm', rerank_topk=1)) == 7  # topk wins
    assert ids(search('a red shoe', topk=5, rerank='sum', timeout=-1)) == ids(first)
    with pytest.raises(ValueError, match='needs a text'):
        search(products=['7'], rerank='sum')
    (catalogue / f'images/{ids(rows)[0]}.png').unlink()  # unreadable: last
    assert ids(search('a red shoe', topk=20, rerank='itm')) == [*ids(rows)[1:], ids(rows)[0]]


def test_a_model_without_embeddings_reads_every_image(model_folder, catalogue):
    """The paper's ranking: matching probabilities of all pairs."""
    search = Search(model_folder, 'memory', show_progress=False)
    search.build(catalogue)
    rows = search('a red shoe', topk=20, rerank_topk=3)
    paths = [catalogue / f'images/{i}.png' for i in range(20)]
    matching = MatchingInferencer(model_folder, device='cpu', show_progress=False)
    scores = [pair['itm_score'] for pair in matching(paths, 'a red shoe')['predictions']]
    assert [row['itm_score'] for row in rows] == pytest.approx(sorted(scores)[::-1], abs=1e-5)
    shoes = search('a red shoe', topk=20, where=dict(sub_category='Shoes'))
    assert len(shoes) == 10
    with pytest.raises(ValueError, match="rerank='sum'; legal here: 'itm'"):
        search('a red shoe', rerank='sum')


def test_certain_matches_keep_their_order(model_folder, catalogue):
    """With 30 added to every logit all probabilities are 1 in float32; the order stays."""
    search = Search(model_folder, 'memory', show_progress=False)
    search.build(catalogue)
    before = ids(search('a red bag', topk=12))
    with torch.no_grad():
        search.scorer.model.heads.itm.classifier.bias += torch.tensor([0.0, 30.0])
    rows = search('a red bag', topk=12)
    assert ids(rows) == before and {np.float32(row['itm_score']) for row in rows} == {1.0}


@pytest.mark.parametrize('folder', ['embedding_folder', 'model_folder'])
def test_texts_for_an_image(folder, request, catalogue):
    """Equal texts are one row; texts without a known word and empty texts are skipped."""
    model = request.getfixturevalue(folder)
    texts = ['a red bag', 'boots', 'a wool tote', 'a red bag', 'striped boots', '你好', '!!!']
    captions = ImageToTextRetrievalInferencer(model, show_progress=False).read(texts)
    red = np.full((40, 30, 3), (200, 0, 0), np.uint8)
    (rows,) = captions(red, rerank='itm')['predictions']
    distinct = list(dict.fromkeys(texts[:5]))
    scores = MatchingInferencer(model, device='cpu', show_progress=False)(red, distinct)
    scores = [pair['itm_score'] for pair in scores['predictions']]
    order = np.argsort(-np.array(scores), kind='stable')
    assert [row['caption'] for row in rows] == [distinct[i] for i in order]
    assert all(texts[int(row['product_id'])] == row['caption'] for row in rows)
    with pytest.raises(ValueError, match='an index of texts takes no images'):
        captions.search.upsert('9', red)
    captions.read(catalogue)
    (rows,) = captions(catalogue / 'images/3.png', topk=30)['predictions']
    assert len(rows) == 20 and {'product_id', 'sub_category'} <= rows[0].keys()


def test_texts_from_a_file(embedding_folder, tmp_path):
    (tmp_path / 'lines.txt').write_text('a red bag\n\nboots\n')
    captions = ImageToTextRetrievalInferencer(embedding_folder, show_progress=False)
    red = np.full((40, 30, 3), (200, 0, 0), np.uint8)
    (rows,) = captions.read(tmp_path / 'lines.txt')(red)['predictions']
    assert {row['caption'] for row in rows} == {'a red bag', 'boots'}
    (tmp_path / 'lines.md').write_text('a')
    with pytest.raises(ValueError, match='give a .txt file, a table'):
        captions.read(tmp_path / 'lines.md')


def test_wrong_queries_and_indices(search, opened, tmp_path, embedding_folder, catalogue):
    with pytest.raises(ValueError, match='empty query'):
        search()
    for text in ('  ', '!!! ???'):
        with pytest.raises(ValueError, match='no word that the model knows'):
            search(text)
    with pytest.raises(ValueError, match="no product 'zz'"):
        search(products=['zz'])
    for name in ('topk', 'rerank_topk'):
        with pytest.raises(ValueError, match=f'{name}=0; give a whole number'):
            search('shoe', **{name: 0})
    with pytest.raises(FileNotFoundError, match='build_index'):
        Search(opened, tmp_path / 'x')('shoe')
    with pytest.raises(FileNotFoundError, match='give a folder of images'):
        Search(opened, 'memory').build(tmp_path / 'nowhere')
    (tmp_path / 'odd.csv').write_text('a,b\n1,2\n')
    with pytest.raises(KeyError, match=r'which column holds images and captions .*odd.json'):
        Search(opened, 'memory').build(tmp_path / 'odd.csv')
    for texts, weight in ((True, 0), (False, 1)):  # of texts; of another model
        other = open_model(embedding_folder)
        other.model.head('itc').image.weight.data += weight
        with pytest.raises(ValueError, match='another model'):
            Search(other, search.location, texts=texts)('shoe')


def test_folders_lists_and_unreadable_images(opened, catalogue, tmp_path):
    search = Search(opened, tmp_path / 'index', show_progress=False)
    assert search.build(catalogue / 'images')[:2] == (20, 20)
    assert search('shoe')[0]['img_path'] == search('shoe')[0]['product_id']
    (catalogue / 'images/5.png').write_bytes(b'')
    search = Search(opened, 'memory', show_progress=False)
    assert search.build(catalogue)[5] == 1
    assert '5' not in ids(search('shoe', topk=30))
    paths = [str(catalogue / f'images/{i}.png') for i in (3, 7)]
    search = Search(opened, 'memory', show_progress=False)
    search.build(paths)
    assert sorted(row['img_path'] for row in search('shoe', rerank='itm')) == paths
    search = Search(opened, 'memory', show_progress=False)
    with pytest.raises(OSError, match=r'nothing can be read; first: .*5.png'):
        search.build([str(catalogue / 'images/5.png')])


def test_linked_images(opened, catalogue, tmp_path):
    """images/ is a symbolic link, as on a network share."""
    shutil.move(catalogue / 'images', tmp_path / 'elsewhere')
    (catalogue / 'images').symlink_to(tmp_path / 'elsewhere')
    search = Search(opened, 'memory', show_progress=False)
    search.build(catalogue)
    row = search('shoe', rerank='itm')[0]
    assert row['img_path'] == f'images/{row["product_id"]}.png'
    assert search.read_image(row).shape == (30, 40, 3)


@pytest.mark.parametrize('source', ['link', 'link/products.csv', '.', 'products.csv'])
def test_a_linked_or_relative_catalogue(source, opened, catalogue, tmp_path, monkeypatch):
    """Paths in the index start from the catalogue's folder, however the folder is named."""
    monkeypatch.chdir(catalogue)
    (tmp_path / 'link').symlink_to(catalogue, target_is_directory=True)
    search = Search(opened, 'memory', show_progress=False)
    search.build(source)
    row = search('shoe')[0]
    assert row['img_path'] == f'images/{row["product_id"]}.png'
    assert search.read_image(row).shape == (30, 40, 3)


def test_another_normalisation_is_another_model(opened, embedding_folder, search):
    """Mean and standard deviation are no weights, and yet decide the embeddings."""
    model = opened.description.model
    dark = {
        **model,
        'data_preprocessor': dict(model['data_preprocessor'], mean=[0] * 3, std=[1] * 3),
    }
    other = opened._replace(description=opened.description._replace(model=dark))
    with pytest.raises(ValueError, match='another model'):
        Search(other, search.location)('shoe')
    assert Search(embedding_folder, search.location).fingerprint == search.fingerprint


def test_images_of_several_sizes_are_refused(opened, catalogue):
    """A model without Resize: each image keeps its size."""
    reading = {name: s for name, s in opened.transforms.items() if s['type'] != 'Resize'}
    search = Search(opened._replace(transforms=reading), 'memory', show_progress=False)
    Image.new('RGB', (48, 32)).save(catalogue / 'images/5.png')
    with pytest.raises(ValueError, match=r'an image is \(3, \d+, \d+\) after preprocessing'):
        search.build(catalogue)


def test_precisions_share_an_index(search, opened):
    """A GPU may build in bfloat16 what a CPU serves in float32."""
    half = Search(opened, search.location, dtype='bfloat16', show_progress=False)
    assert half.fingerprint == search.fingerprint
    exact, rounded = (s('a red shoe', topk=1)[0]['score'] for s in (search, half))
    assert rounded == pytest.approx(exact, abs=0.02)


def test_the_default_location(opened, catalogue, tmp_path, monkeypatch):
    """Page, service and tools share one index for a model and a catalogue."""
    monkeypatch.chdir(tmp_path)
    first = Search(opened, show_progress=False)
    first.build(catalogue)
    second = Search(opened, show_progress=False)
    assert second.build(catalogue)[1:5] == (0, 0, 0, 0) and first.location == second.location
    assert first.location.startswith('work_dirs/index/')
    first.build(catalogue / 'images')  # another gallery has another index
    assert first.location != second.location and len(second('shoe', topk=30)) == 20
    assert 'title' in second.index.description.columns
