"""Contract: an image alone and a caption alone use the same weights as a pair."""

import pytest
import torch
from torch import nn

from mvlt.models import PVTV2VL, PVTVL, Features, ViTVL
from tests.models.encoders.test_swapped import PYRAMID, SINGLE

ENCODERS = dict(
    pvt=lambda: PVTVL(**{k: v for k, v in PYRAMID.items() if k != 'pool_size'}),
    pvt_v2_linear=lambda: PVTV2VL(**PYRAMID),
    pvt_v2=lambda: PVTV2VL(**PYRAMID, linear=False, reductions=(4, 2, 1, 1)),
    vit=lambda: ViTVL(**SINGLE),
)


@pytest.fixture(params=ENCODERS)
def backbone(request):
    torch.manual_seed(0)
    return ENCODERS[request.param]().eval()


@pytest.fixture
def image():
    return torch.randn(2, 3, 64, 64)


@pytest.fixture
def tokens():
    return torch.randint(5, 50, (2, 9))


@torch.no_grad()
def test_an_image_alone_equals_a_pair_with_a_masked_caption(backbone, image, tokens):
    alone = backbone.encode_image(image)
    mask = torch.zeros(tokens.shape, dtype=torch.bool)
    pair = backbone.encode_pair(image, tokens, mask).images
    assert [x.shape[2] for x in alone] == [64 // stride for stride in backbone.strides]
    torch.testing.assert_close(alone, pair, atol=1e-5, rtol=1e-4)
    with_text = backbone.encode_pair(image, tokens).images[-1]
    assert not torch.allclose(alone[-1], with_text, atol=1e-4)


@torch.no_grad()
def test_padding_changes_nothing(backbone, tokens):
    alone = backbone.encode_text(tokens[:1, :6])
    padded = torch.cat((tokens[:, :6], torch.zeros(2, 3, dtype=torch.long)), 1)
    masked = backbone.encode_text(padded, padded != 0)
    for before, after, dims in zip(alone, masked, backbone.embed_dims):
        assert before.shape == (1, 6, dims)
        torch.testing.assert_close(after[:1, :6], before, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_caption_of_two_tokens_and_one_image(backbone, image, tokens):
    """[CLS] and [SEP] are an empty caption."""
    assert backbone.encode_text(tokens[:1, :2])[-1].shape[:2] == (1, 2)
    single, both = backbone.encode_image(image[:1])[-1], backbone.encode_image(image)[-1]
    torch.testing.assert_close(single, both[:1], atol=1e-5, rtol=1e-4)


def test_separate_encoding_trains_every_weight(backbone, image, tokens):
    """DistributedDataParallel with a contrastive loss needs a gradient for each weight."""
    loss = backbone.encode_image(image)[-1].square().mean()
    loss = loss + backbone.encode_text(tokens)[-1].square().mean()
    loss.backward()
    assert not [name for name, weight in backbone.named_parameters() if weight.grad is None]


class _Encoder(nn.Module):
    def __init__(self, backbone, name):
        super().__init__()
        self.backbone, self.name = backbone, name

    def forward(self, x):
        return getattr(self.backbone, self.name)(x)[-1]


@torch.no_grad()
@pytest.mark.parametrize('name', ['encode_image', 'encode_text'])
def test_an_encoder_exports(backbone, image, tokens, name):
    x = image if name == 'encode_image' else tokens
    encoder = _Encoder(backbone, name).eval()
    batch = torch.export.Dim('batch', min=1, max=64)
    program = torch.export.export(encoder, (x,), dynamic_shapes=({0: batch},), strict=False)
    for size in (1, 2):
        expected = encoder(x[:size])
        torch.testing.assert_close(program.module()(x[:size]), expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_features_are_computed_once_and_on_first_use(backbone, image, tokens):
    calls = []
    for name in ('encode_pair', 'encode_image', 'encode_text'):
        method = getattr(backbone, name)
        setattr(
            backbone,
            name,
            lambda *args, name=name, method=method: calls.append(name) or method(*args),
        )
    model = nn.Module()
    model.backbone, model.neck = backbone, lambda images: images[-1]
    inputs = dict(image=image, token_ids=tokens, text_mask=None)
    features = Features(model, inputs)
    assert features.image[-1] is features.image[-1] and calls == ['encode_image']
    assert features.text is features.text and calls[1:] == ['encode_text']
    assert features.decoded is features.decoded and calls[2:] == ['encode_pair']
    assert features.cls.shape == (2, backbone.embed_dims[-1]) and len(calls) == 3
    crossed = features.pairs([0, 1, 1], [1, 0, 1])
    torch.testing.assert_close(
        crossed.texts[-1][2], features.pair.texts[-1][1], atol=1e-5, rtol=1e-4
    )
    assert len(crossed.texts[-1]) == 3


@torch.no_grad()
def test_other_streams_are_read_as_the_main_streams(backbone, image, tokens):
    """A head reads another image or text of the batch; each is computed once."""
    other = dict(image=torch.rand_like(image), pixels=None, image_mask=None)
    change = dict(token_ids=tokens.roll(1, 1), text_mask=None)
    inputs = dict(image=image, token_ids=tokens, text_mask=None, whole_image=image + 1)
    inputs |= dict(images=dict(other=other), texts=dict(change=change))
    model = nn.Module()
    model.backbone, model.neck = backbone, None
    features = Features(model, inputs)
    both = features.of(image='other', text='change')
    assert both is features.of(image='other', text='change') and features.of() is features
    assert torch.equal(both.pooled_image, backbone.encode_image(other['image'])[-1].mean((2, 3)))
    assert torch.equal(both.text[-1], backbone.encode_text(change['token_ids'])[-1])
    pair = backbone.encode_pair(other['image'], change['token_ids'])
    assert torch.equal(both.cls, pair.texts[-1][:, 0])
    assert torch.equal(features.of(image='other').text[-1], features.text[-1])
    with pytest.raises(KeyError, match="no images stream 'third'; it has image, other"):
        features.of(image='third')
