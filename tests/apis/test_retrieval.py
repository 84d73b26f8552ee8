"""Contract: every readable entry can be found; what is kept on the disk is found by its content."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mvlt.apis import (
    ImageToTextRetrievalInferencer,
    MatchingInferencer,
    TextToImageRetrievalInferencer,
)
from mvlt.apis.text_to_image import best_views
from mvlt.checkpoints.folder import read_model_folder, write_model_folder
from mvlt.datasets import FashionGen

RED = np.full((40, 30, 3), (200, 0, 0), np.uint8)


@pytest.fixture
def search(model_folder, tmp_path):
    def build(gallery, kind=TextToImageRetrievalInferencer, **kwargs):
        return kind(
            model_folder,
            device='cpu',
            show_progress=False,
            cache_dir=tmp_path / 'cache',
            **kwargs,
        ).read(gallery)

    return build


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(folder / f'{i}.png')
    return folder


@pytest.fixture
def described(catalogue):
    description = dict(
        columns=dict(image='image', product_id='id', main_category='kind', sub_category='sub'),
        caption='{title}. {colour}',
    )
    (catalogue / 'products.json').write_text(json.dumps(description))
    return catalogue


def _order(found):
    return [one['index'] for one in found]


def test_all_of_a_folder_by_matching_alone(search, pictures, model_folder):
    infer = search(pictures, shortlist=None)
    (found,) = infer('a red bag', topk=20, order='matching')
    scores = [
        one['match_score']
        for one in MatchingInferencer(model_folder, device='cpu')(pictures, 'a red bag')
    ]
    assert _order(found) == list(np.argsort(-np.array(scores), kind='stable'))
    assert found[0]['match_score'] == pytest.approx(max(scores), abs=1e-5)
    assert found[0]['img_path'] == str(sorted(pictures.iterdir())[found[0]['index']])
    assert len(infer(['a', 'b'], topk=3)) == 2


def test_certain_matches_keep_their_order(search, pictures):
    """30 more on every matched logit: every match_score is 1 in float32, the order stays."""
    infer = search(pictures, shortlist=None)
    before = _order(infer('a red bag', topk=12)[0])
    with torch.no_grad():
        infer.model.heads.itm.classifier.bias += torch.tensor([0.0, 30.0])
    found = infer('a red bag', topk=12)[0]
    assert _order(found) == before
    assert {np.float32(one['match_score']) for one in found} == {1.0}


def _word_log_probabilities(infer, pixels, hidden):
    """Log-probability of every word at a hidden place beside each picture, (I, V), word by word."""
    model, vocabulary = infer.model, infer.vocabulary
    ids = [vocabulary.cls_id, *[vocabulary.mask_id] * hidden, vocabulary.sep_id]
    found = []
    with torch.no_grad():
        for picture in pixels:
            image = model.data_preprocessor.normalise(torch.from_numpy(np.array(picture))[None])
            text = model.backbone.encode_pair(image, torch.tensor([ids]), None).texts[-1][:, 1:-1]
            logits = model.heads.mlm(text=text, word_table=model.word_table)
            found.append(logits.log_softmax(-1)[0].mean(0).numpy())
    return np.stack(found)


def _words(infer, text):
    special = set(infer.vocabulary.special_ids)
    return [word for word in infer.vocabulary.encode(text, 24) if word not in special]


def _logit(probability):
    return np.log(probability) - np.log1p(-probability)


def test_orders_are_those_of_the_definition(search, pictures, model_folder):
    """Log-odds of matching, words' log-probabilities less their mean over pictures, and their sum,
    each computed here from the model alone."""
    infer = search(pictures)
    log_probs = _word_log_probabilities(infer, infer.pixels, hidden=6)
    likelier = (log_probs - log_probs.mean(0))[:, _words(infer, 'a red bag')].mean(1)
    matched = _logit(
        np.array(
            [
                one['match_score']
                for one in MatchingInferencer(model_folder, device='cpu')(pictures, 'a red bag')
            ]
        )
    )
    for name, merit in dict(vectors=likelier, matching=matched, both=likelier + matched).items():
        found = infer('a red bag', topk=12, order=name)[0]
        assert _order(found) == list(np.argsort(-merit, kind='stable')), name
        shares = 1 / (1 + np.exp(-np.sort(merit)[::-1]))
        assert [one['score'] for one in found] == pytest.approx(list(shares), abs=1e-4)


def test_a_shortlist_is_the_best_by_vectors(search, pictures):
    infer = search(pictures, shortlist=4)
    first = _order(search(pictures)('a red bag', topk=12, order='vectors')[0])[:4]
    found = infer('a red bag', topk=4)[0]
    assert set(_order(found)) == set(first)
    everything = _order(search(pictures)('a red bag', topk=12)[0])
    assert _order(found) == [index for index in everything if index in set(first)]
    assert len(search(pictures, shortlist=1)('a bag', topk=5)[0]) == 5  # topk wins


def test_each_model_has_vectors_of_its_own(search, pictures, model_folder, demo_data, tmp_path):
    """Other weights, and the same weights read with another mean of pictures."""
    folder = read_model_folder(model_folder)
    state = load_file(folder.weights)
    other = {key: value + 0.1 if 'heads.mlm' in key else value for key, value in state.items()}
    dark = folder.description._replace(
        model=dict(
            folder.description.model,
            data_preprocessor=dict(type='PairDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1]),
        )
    )
    words = str(demo_data / 'vocabulary')
    models = (
        model_folder,
        write_model_folder(tmp_path / 'other', folder.description, other, words, ''),
        write_model_folder(tmp_path / 'dark', dark, state, words, ''),
    )
    for model in models:
        ours = TextToImageRetrievalInferencer(
            model, device='cpu', show_progress=False, cache_dir=tmp_path / 'cache'
        ).read(pictures)
        alone = TextToImageRetrievalInferencer(
            model, device='cpu', show_progress=False, cache_dir=tmp_path / model.name
        ).read(pictures)
        assert ours('a red bag', topk=12) == alone('a red bag', topk=12)
    assert len(list((tmp_path / 'cache').glob('*.vectors.npy'))) == 3
    pixels = [path for path in (tmp_path / 'cache').glob('*.npy') if 'vectors' not in path.name]
    assert len(pixels) == 1


def test_two_threads_open_one_gallery(search, pictures):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: search(pictures)('a red bag'), range(4)))
    assert all(one == found[0] for one in found)


def test_pictures_that_stay_of_unequal_size_are_refused(search, pictures, model_folder, tmp_path):
    folder = read_model_folder(model_folder)
    uneven = folder.description._replace(
        preprocessing=dict(load=dict(type='LoadImage'), tokenize=dict(type='Tokenize', max_len=24))
    )
    Image.fromarray(RED[:32, :]).save(pictures / '5.png')
    model = write_model_folder(
        tmp_path / 'uneven', uneven, load_file(folder.weights), str(model_folder), ''
    )
    with pytest.raises(ValueError, match=r'picture \d+ is \(3, 32, 30\) after preprocessing'):
        TextToImageRetrievalInferencer(model, device='cpu', cache_dir=tmp_path / 'cache').read(
            pictures
        )
    assert not list((tmp_path / 'cache').glob('*.npy'))


def test_the_cache_follows_the_content(search, pictures, tmp_path):
    def decoded():
        return {path.name for path in (tmp_path / 'cache').glob('*.npy')}

    search(pictures)
    first = decoded()
    assert len(first) == 2  # pixels and vectors
    pictures.rename(tmp_path / 'moved')
    search(tmp_path / 'moved')
    assert decoded() == first, 'a name is no content'
    Image.fromarray(RED).save(tmp_path / 'moved/3.png')
    changed = search(tmp_path / 'moved')
    assert len(decoded() - first) == 2
    place = sorted(path.name for path in (tmp_path / 'moved').iterdir()).index('3.png')
    assert (changed.picture(place) == (200, 0, 0)).all()


def test_unreadable_pictures_are_never_found(search, pictures):
    (pictures / '00.png').write_bytes(b'no picture')  # the first by name
    (pictures / '5.png').write_bytes(b'')
    found = search(pictures)('a', topk=20)[0]
    names = {one['img_path'].rsplit('/')[-1] for one in found}
    assert len(found) == 11 and not names & {'00.png', '5.png'}
    with pytest.raises(OSError, match='no picture can be read; first: .*00.png'):
        search([str(pictures / '00.png')])


def test_a_catalogue_with_categories(search, described):
    infer = search(described / 'products.csv')
    (found,) = infer('thing', topk=20, where=dict(main_category='Shoes'))
    assert len(found) == 10 and {one['main_category'] for one in found} == {'Shoes'}
    assert {'index', 'match_score', 'img_path', 'caption', 'product_id'} <= found[0].keys()
    with pytest.raises(ValueError, match="no main_category is 'Hats'; legal: Bags, Shoes"):
        infer('thing', where=dict(main_category='Hats'))
    with pytest.raises(ValueError, match="no colour is 'red'; legal: Red"):
        infer('thing', where=dict(colour='red'))
    with pytest.raises(ValueError, match="the gallery has no 'size'; it has main_category"):
        infer('thing', where=dict(size='XL'))
    found = infer('thing', topk=20, where=dict(colour='Red'))[0]  # that of product 3 is unknown
    assert len(found) == 19 and '3' not in {one['product_id'] for one in found}


def test_a_product_with_several_pictures_is_found_once(search, catalogue):
    table = pd.read_csv(catalogue / 'products.csv', dtype=str, keep_default_na=False)
    table['id'] = [str(i // 2) for i in range(20)]
    table.to_csv(catalogue / 'products.csv', index=False)
    infer = search(catalogue / 'products.csv')
    for order in ('vectors', 'both', 'matching'):
        (found,) = infer('thing', topk=20, order=order)
        assert sorted(int(one['product_id']) for one in found) == list(range(10))
        for one in found:
            number = int(one['product_id'])
            assert one['views'] == [2 * number, 2 * number + 1] and one['index'] in one['views']
    assert len(infer('thing', topk=3)[0]) == 3


def test_the_best_view_of_each_product():
    likeness = np.array([0.1, 0.9, 0.9, 0.5, 0.7, 0.8])
    allowed = np.array([True, True, True, True, True, False])
    found = best_views(likeness, allowed, np.array([0, 0, 0, 1, 2, 2]))
    assert found.tolist() == [False, True, False, True, True, False]  # the first of equals


def test_a_catalogue_whose_pictures_are_partly_missing(search, catalogue):
    (catalogue / 'images/4.png').unlink()
    found = search(catalogue / 'products.csv')('thing', topk=20)[0]
    assert len(found) == 19 and '4' not in {one['product_id'] for one in found}


def test_lists_and_datasets(search, demo_data):
    assert len(search([RED, Image.fromarray(RED)])('a')[0]) == 2
    dataset = FashionGen(
        data_root=str(demo_data), ann_file='fashiongen_64_64_validation.h5', test_mode=True
    )
    (found,) = search(dataset)('bag', topk=3)
    assert len(found) == 3 and found[0]['main_category'] and found[0]['caption']


def test_wrong_queries_and_galleries(search, pictures, tmp_path):
    infer = search(pictures)
    for words in (' ', '!!!', '你好'):
        with pytest.raises(ValueError, match='has no word that the model knows'):
            infer(words)
    with pytest.raises(ValueError, match='topk=0'):
        infer('a', topk=0)
    with pytest.raises(ValueError, match='shortlist=0'):
        search(pictures, shortlist=0)
    with pytest.raises(FileNotFoundError, match='a folder of pictures'):
        search(tmp_path / 'nowhere')
    pd.DataFrame(dict(a=[1], b=[2])).to_csv(tmp_path / 'odd.csv', index=False)
    with pytest.raises(ValueError, match='topk=None: a whole number'):
        infer('a', topk=None)
    with pytest.raises(ValueError, match='shortlist is an option of TextToImageRetrieval'):
        infer('a', shortlist=3)
    with pytest.raises(KeyError, match='which column holds pictures and captions .*odd.json'):
        search(tmp_path / 'odd.csv')


def test_unknown_orders(search, pictures):
    with pytest.raises(ValueError, match="order='paper'; legal here: both, matching, vectors"):
        search(pictures)('a', order='paper')


def test_drawn(search, pictures, tmp_path):
    search(pictures)('a red bag', topk=3, out_dir=tmp_path / 'out')
    assert (tmp_path / 'out/000000.png').stat().st_size > 1000


class TestImageToText:
    TEXTS = ['a red bag', 'boots', 'a wool tote', 'a red bag', 'striped boots']

    def test_equal_texts_are_one(self, search):
        infer = search(self.TEXTS, ImageToTextRetrievalInferencer)
        (found,) = infer(RED, topk=10)
        assert sorted(one['caption'] for one in found) == sorted(set(self.TEXTS))

    def test_orders_are_those_of_the_definition(self, search, model_folder):
        """What is usual is what a grey picture makes likely: a list of texts has no pictures."""
        texts = list(dict.fromkeys(self.TEXTS))
        infer = search(self.TEXTS, ImageToTextRetrievalInferencer)
        grey = np.full((3, 32, 32), 128, np.uint8)
        shown = infer._pixels(RED).numpy()
        log_probs = _word_log_probabilities(infer, [shown, grey], infer.encoder.hidden)
        likelier = [(log_probs[0] - log_probs[1])[_words(infer, text)].mean() for text in texts]
        scores = MatchingInferencer(model_folder, device='cpu')(RED, texts)
        matched = [_logit(one['match_score']) for one in scores]
        for name, merit in dict(vectors=likelier, both=np.add(likelier, matched)).items():
            (found,) = infer(RED, order=name)
            order = np.argsort(-np.array(merit), kind='stable')
            assert [one['caption'] for one in found] == [texts[i] for i in order]

    def test_index_is_the_place_in_the_list(self, search):
        (found,) = search(self.TEXTS, ImageToTextRetrievalInferencer)(RED)
        assert all(self.TEXTS[one['index']] == one['caption'] for one in found)

    def test_texts_without_a_known_word_come_last(self, search):
        infer = search(['你好', 'a red bag', '!!!', 'boots'], ImageToTextRetrievalInferencer)
        (found,) = infer(RED, topk=4)
        assert {one['caption'] for one in found[:2]} == {'a red bag', 'boots'}

    def test_by_matching_alone(self, search, model_folder):
        infer = search(self.TEXTS, ImageToTextRetrievalInferencer, shortlist=None)
        (found,) = infer(RED, order='matching')
        distinct = list(dict.fromkeys(self.TEXTS))
        scores = MatchingInferencer(model_folder, device='cpu')(RED, distinct)
        order = np.argsort([-one['match_score'] for one in scores], kind='stable')
        assert [one['caption'] for one in found] == [distinct[i] for i in order]

    def test_files_and_catalogues(self, search, described, tmp_path):
        (tmp_path / 'lines.txt').write_text('a red bag\n\nboots\n')
        found = search(tmp_path / 'lines.txt', ImageToTextRetrievalInferencer)(RED)[0]
        assert {one['caption'] for one in found} == {'a red bag', 'boots'}
        infer = search(described / 'products.csv', ImageToTextRetrievalInferencer)
        (again,) = infer(described / 'images/3.png', topk=30)
        assert len(again) == 20 and {'product_id', 'main_category'} <= again[0].keys()
        with pytest.raises(ValueError, match='a .txt file, a catalogue'):
            search(tmp_path / 'lines.md', ImageToTextRetrievalInferencer)

    def test_token_ids_are_kept(self, search, tmp_path):
        for _ in range(2):
            infer = search(self.TEXTS, ImageToTextRetrievalInferencer)
        assert len(list((tmp_path / 'cache').glob('*.tokens.npz'))) == 1
        vocabulary = infer.vocabulary
        for place, text in enumerate(dict.fromkeys(self.TEXTS)):
            assert infer.texts[place].tolist() == vocabulary.encode(text, 24)


def test_a_broken_cache_is_no_code(search, pictures, tmp_path):
    """What lies in the cache is read as data."""
    search(pictures)
    pixels = next(path for path in (tmp_path / 'cache').glob('*.npy') if 'vectors' not in path.name)
    np.save(pixels, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match='Python objects'):
        search(pictures)
    sidecar = json.loads(pixels.with_suffix('.json').read_text())
    assert sidecar == {}
