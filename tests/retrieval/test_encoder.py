"""Contract: the vectors give what the words' log-probabilities give, one by one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mvlt
from mvlt.datasets import load_vocabulary
from mvlt.retrieval.encoder import (
    TowerEncoder,
    WordEncoder,
    encoder_of,
    similarity,
    usual_length,
    usual_rows,
)
from mvlt.retrieval.scorer import PairScorer


@pytest.fixture(scope='module')
def parts(model_folder):
    model = mvlt.get_model(model_folder)
    vocabulary = load_vocabulary(str(model_folder))
    rng = np.random.default_rng(0)
    pictures = [
        torch.from_numpy(rng.integers(0, 256, (3, 32, 32), dtype=np.uint8)) for _ in range(5)
    ]
    texts = ['a red bag', 'boots', 'a striped wool tote bag', '']
    return model, vocabulary, pictures, [torch.tensor(vocabulary.encode(t, 24)) for t in texts]


@torch.no_grad()
def _naive(model, vocabulary, picture, caption, hidden):
    """Mean over hidden places and over words of the word's log-probability."""
    ids = [vocabulary.cls_id, *[vocabulary.mask_id] * hidden, vocabulary.sep_id]
    image = model.data_preprocessor.normalise(picture[None])
    text = model.backbone.encode_pair(image, torch.tensor([ids]), None).texts[-1][:, 1:-1]
    logits = model.heads.mlm(text=text, word_table=model.word_table)
    log_probs = logits.log_softmax(-1)[0].mean(0)
    words = [word for word in caption.tolist() if word not in set(vocabulary.special_ids)]
    return float(log_probs[words].mean())


@pytest.mark.parametrize('hidden', [1, 4])
def test_products_of_vectors_are_mean_log_probabilities(parts, hidden):
    """Up to the words' biases, which are the same for every picture and leave with the mean."""
    model, vocabulary, pictures, texts = parts
    torch.nn.init.normal_(model.heads.mlm.bias, std=0.5)
    encoder = WordEncoder(PairScorer(model, None, 2, None), vocabulary, [[0] * (hidden + 2)])
    images, captions = encoder.images(pictures), encoder.texts(texts[:3])
    found = similarity(images, images.mean(0), captions)
    naive = np.array(
        [[_naive(model, vocabulary, one, text, hidden) for text in texts[:3]] for one in pictures]
    )
    assert np.allclose(found, naive - naive.mean(0), atol=1e-4)


def test_a_caption_without_words_is_like_nothing(parts):
    model, vocabulary, _, texts = parts
    found = WordEncoder(PairScorer(model), vocabulary).texts([texts[3], texts[0]])
    assert not found[0].any() and found[1].any()
    assert np.isneginf(similarity(np.ones((2, found.shape[1])), np.zeros(1), found)[:, 0]).all()


@torch.no_grad()
@pytest.mark.parametrize('mirrored', [False, True])
def test_towers_give_the_scaled_cosine(parts, tower_folder, mirrored):
    _, vocabulary, pictures, texts = parts
    model = mvlt.get_model(tower_folder)
    encoder = TowerEncoder(PairScorer(model, None, 2), vocabulary, None, mirrored)
    images, captions = encoder.images(pictures), encoder.texts(texts)
    found = similarity(images, encoder.usual(images), captions)
    head = model.heads.itc
    for i, picture in enumerate(pictures):
        image = model.data_preprocessor.normalise(picture[None])
        vector = head.image_embeds(model.backbone.encode_image(image)[-1].mean((2, 3)))
        if mirrored:
            other = model.backbone.encode_image(image.flip(3))[-1].mean((2, 3))
            vector = torch.nn.functional.normalize(vector + head.image_embeds(other), dim=-1)
        for j, text in enumerate(texts[:3]):
            words = head.text_embeds(model.backbone.encode_text(text[None])[-1].mean(1))
            cosine = float((vector * words).sum())
            assert found[i, j] == pytest.approx(float(head.scale) * cosine, abs=1e-4)
            assert encoder.shown(found)[i, j] == pytest.approx(cosine, abs=1e-4)
    assert np.isneginf(found[:, 3]).all()  # a caption without words


def test_the_encoder_that_a_model_has():
    for given, name in (
        (('match', 'embedding', 'words'), 'TowerEncoder'),
        (('match', 'words'), 'WordEncoder'),
        (('match',), None),
    ):
        assert encoder_of(SimpleNamespace(gives=given.__contains__)) == name
    assert encoder_of(SimpleNamespace()) is None


def test_usual_length():
    assert usual_length([[0] * 4, [0] * 8, [0] * 30]) == 6
    assert usual_length([[0, 0]]) == 1


def test_usual_rows():
    assert usual_rows(3) == [0, 1, 2]
    assert len(usual_rows(1000)) == 256 and usual_rows(1000)[-1] == 999
