"""Contract: an encoder returns the model's embeddings; their product is the cosine."""

import numpy as np
import pytest
import torch

import mvlt
from mvlt.datasets import load_tokenizer
from mvlt.retrieval.encoder import Encoder, similarity
from mvlt.retrieval.scorer import PairScorer


@torch.no_grad()
@pytest.mark.parametrize('mirrored', [False, True])
def test_cosines_are_those_of_the_model(embedding_folder, mirrored):
    model = mvlt.get_model(embedding_folder)
    tokenizer = load_tokenizer(str(embedding_folder))
    rng = np.random.default_rng(0)
    images = [torch.from_numpy(rng.integers(0, 256, (3, 32, 32), dtype=np.uint8)) for _ in range(5)]
    captions = ['a red bag', 'boots', 'a striped wool tote bag', '']
    texts = [torch.tensor(tokenizer.encode(caption, 24)) for caption in captions]
    encoder = Encoder(PairScorer(model, None, 2), tokenizer, mirrored)
    cosines = similarity(encoder.images(images), encoder.texts(texts))
    head = model.heads.itc
    for i, image in enumerate(images):
        image = model.data_preprocessor.normalise(image[None])
        embed = head.image_embeds(model.backbone.encode_image(image)[-1].mean((2, 3)))
        if mirrored:
            other = model.backbone.encode_image(image.flip(3))[-1].mean((2, 3))
            embed = torch.nn.functional.normalize(embed + head.image_embeds(other), dim=-1)
        for j, text in enumerate(texts[:3]):
            text_embed = head.text_embeds(model.backbone.encode_text(text[None])[-1].mean(1))
            assert cosines[i, j] == pytest.approx(float((embed * text_embed).sum()), abs=1e-5)
    assert np.isneginf(cosines[:, 3]).all()  # a caption without words
