"""Contract: any image encoder and any text encoder; heads that read pairs are refused."""

import pytest
import torch
from torch import nn

from mvlt.models import MVLT, DualEncoder, Features, TextTransformer

SMALL = dict(embed_dims=16, num_heads=2, depth=1, context_length=12, dropout=0.0)


class Fixed(nn.Module):
    """An image encoder with a given output."""

    def __init__(self, returned):
        super().__init__()
        self.returned = returned

    def forward(self, image):
        return self.returned


class Bag(nn.Module):
    """A text encoder that returns a vector."""

    embed_dims = 16

    def __init__(self, vocab_size):
        super().__init__()
        self.bag = nn.EmbeddingBag(vocab_size, 16)

    @property
    def token_embedding(self):
        return self.bag.weight

    def forward(self, token_ids, text_mask):
        return self.bag(token_ids)


def _dual(returned, **kwargs):
    return DualEncoder(Fixed(returned), TextTransformer(50, **SMALL), **kwargs)


@pytest.mark.parametrize(
    ('returned', 'shape'),
    [
        (torch.randn(2, 16, 3, 5), (3, 5)),
        (torch.randn(2, 9, 16), (9, 1)),
        (torch.randn(2, 16), (1, 1)),
        ((torch.randn(2, 4, 6, 6), torch.randn(2, 16, 3, 3)), (3, 3)),
    ],
    ids=['map', 'tokens', 'vector', 'stages'],
)
def test_images_become_one_map_with_the_same_mean(returned, shape):
    (image,) = _dual(returned).encode_image(torch.randn(2, 3, 32, 32))
    assert image.shape == (2, 16, *shape)
    last = returned[-1] if isinstance(returned, tuple) else returned
    mean = last.mean(1) if last.ndim == 3 else last.flatten(2).mean(2) if last.ndim == 4 else last
    torch.testing.assert_close(image.mean((2, 3)), mean)


def test_other_channels_are_projected_or_refused():
    (image,) = _dual(torch.randn(2, 24, 3, 3), image_dims=24).encode_image(torch.zeros(2))
    assert image.shape == (2, 16, 3, 3)
    with pytest.raises(ValueError, match='Fixed returns 24 channels: set backbone.image_dims=24'):
        _dual(torch.randn(2, 24, 3, 3)).encode_image(torch.zeros(2))


def test_a_vector_of_a_text_is_repeated_for_every_token():
    dual = DualEncoder(nn.Identity(), Bag(50))
    (text,) = dual.encode_text(torch.randint(5, 50, (2, 7)))
    assert text.shape == (2, 7, 16) and torch.equal(text[:, 0], text[:, 6])
    assert (dual.vocab_size, dual.context_length) == (50, None)


@pytest.mark.parametrize('depth', [0, 2])
@torch.no_grad()
def test_padding_changes_no_text(depth):
    encoder = TextTransformer(50, **dict(SMALL, depth=depth)).eval()
    ids = torch.randint(5, 50, (2, 7))
    padded = nn.functional.pad(ids, (0, 3))
    torch.testing.assert_close(encoder(padded, padded != 0)[:, :7], encoder(ids))
    moved = encoder(ids.roll(1, 1))
    assert (moved[:, 1:] - encoder(ids)[:, :-1]).abs().max() > 1e-3  # positions are read
    with pytest.raises(ValueError, match=r'15 tokens, but backbone.text_encoder.context_length=12'):
        encoder(torch.zeros(1, 15, dtype=torch.long))


def _model(**heads):
    backbone = dict(
        type='mvlt.DualEncoder',
        image_encoder=Fixed(torch.randn(2, 16)),
        text_encoder=dict(type='TextTransformer', **SMALL),
        vocab_size=50,
    )
    return MVLT(backbone=backbone, heads=heads)


@pytest.mark.parametrize('kind', ['ITMHead', 'MLMHead', 'HardITMHead'])
def test_heads_that_read_pairs_are_refused(kind):
    with pytest.raises(
        ValueError, match=r'a dual-encoder model cannot .* which model\.heads\.pair d'
    ):
        _model(pair=dict(type=f'mvlt.{kind}'))


def test_pairs_cannot_be_matched():
    model = _model(itc=dict(type='mvlt.ITCHead', dims=8))
    image, ids = torch.randn(2, 3, 32, 32), torch.randint(5, 50, (2, 7))
    with pytest.raises(
        ValueError, match='a dual-encoder model cannot match pairs: set test_cfg.rerank'
    ):
        model.match(image, ids, None)
    features = Features(model, dict(image=image, token_ids=ids, text_mask=None))
    with pytest.raises(ValueError, match='a dual-encoder model cannot read image and text tog'):
        _ = features.pair
    images, texts = model(features.inputs)
    assert images[-1].shape == (2, 16, 1, 1) and texts[-1].shape == (2, 7, 16)
    assert model.image_embeds(image).shape == model.text_embeds(ids, None).shape == (2, 8)


@torch.no_grad()
def test_channels_are_standardised_and_projected_with_an_mlp_beside():
    """By hand: (x - mean) / std of each channel, a linear layer, and the MLP's output."""
    encoder = _dual(None, image_dims=4, standardise=True, image_hidden_dims=8).eval()
    encoder.standardise.running_mean.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    encoder.standardise.running_var.copy_(torch.tensor([4.0, 1.0, 1.0, 1.0]))
    vectors = torch.tensor([[3.0, 0.0, 0.0, 0.0]])
    x = torch.tensor([[1.0, 0.0, 0.0, 0.0]])[..., None, None]
    (image,) = encoder.encode_image(vectors)
    torch.testing.assert_close(image, encoder.projection(x) + encoder.mlp(x), atol=1e-4, rtol=0)
