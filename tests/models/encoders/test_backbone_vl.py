"""Contract: a dual encoder with joint layers; an image's maps serve every caption."""

import pytest
import torch

from mvlt.models import BackboneVL, DualEncoder, Features, ImageBackbone, TextTransformer

RESNET = dict(
    type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=(0, 1, 2, 3)
)
SIZES = dict(
    embed_dims=(4, 8, 12, 16), depths=(1, 1, 1), num_heads=(1, 2, 2), pool_size=2, standardise=True
)


def _text():
    return TextTransformer(20, context_length=8, embed_dims=16, depth=1, num_heads=2, dropout=0.0)


@pytest.fixture(scope='module')
def encoder():
    torch.manual_seed(0)
    return BackboneVL(ImageBackbone(RESNET, image_size=64), _text(), **SIZES).eval()


@torch.no_grad()
def test_shapes_and_shared_maps(encoder):
    image, ids = torch.randn(2, 3, 64, 64), torch.randint(20, (2, 5))
    images, texts = encoder.encode_pair(image, ids)
    assert [tuple(x.shape[1:]) for x in images] == [(4, 16, 16), (8, 8, 8), (12, 4, 4), (16, 2, 2)]
    assert [tuple(x.shape) for x in texts] == [(2, 5, c) for c in (4, 8, 12, 16)]
    maps = encoder.maps(image)
    again = encoder.encode_pair(maps, ids)
    assert all(map(torch.equal, (*images, *texts), (*again.images, *again.texts)))
    cls = encoder.encode_pair(maps, ids, cls_only=True)
    torch.testing.assert_close(cls.texts[-1], texts[-1][:, :1])
    assert len(cls.images) == 3


@torch.no_grad()
def test_alone_it_is_a_dual_encoder_and_takes_its_weights(encoder):
    pooled = ImageBackbone(RESNET, image_size=64, pooled=True)
    dual = DualEncoder(pooled, _text(), standardise=True).eval()
    weights = dual.state_dict()
    assert weights.keys() <= encoder.state_dict().keys()
    dual.load_state_dict({key: encoder.state_dict()[key] for key in weights})
    image, ids = torch.randn(2, 3, 64, 64), torch.randint(20, (2, 5))
    for ours, theirs in (
        (encoder.encode_image(image), dual.encode_image(image)),
        (encoder.encode_image(encoder.maps(image)), dual.encode_image(pooled(image))),
        (encoder.encode_text(ids), dual.encode_text(ids)),
    ):
        torch.testing.assert_close(ours[-1], theirs[-1])


@torch.no_grad()
def test_text_joins_from_the_second_stage(encoder):
    """Another caption changes the maps of stages 2 to 4, not of stage 1."""
    image, ids = torch.randn(1, 3, 64, 64), torch.tensor([[2, 7, 3]])
    first = encoder.encode_pair(image, ids).images
    second = encoder.encode_pair(image, torch.tensor([[2, 9, 3]])).images
    assert [torch.equal(a, b) for a, b in zip(first, second)] == [True, False, False, False]


@torch.no_grad()
def test_padding_is_not_read(encoder):
    image, ids = torch.randn(1, 3, 64, 64), torch.tensor([[2, 7, 3]])
    padded = torch.tensor([[2, 7, 3, 0, 0]])
    short = encoder.encode_pair(image, ids).texts[-1]
    long = encoder.encode_pair(image, padded, padded > 0).texts[-1]
    torch.testing.assert_close(short, long[:, :3])


def test_a_frozen_backbone_gets_no_gradients(encoder):
    images, texts = encoder.encode_pair(torch.randn(2, 3, 64, 64), torch.randint(20, (2, 5)))
    alone = encoder.encode_image(torch.randn(2, 3, 64, 64))[-1]
    (sum(x.sum() for x in images) + sum(x.sum() for x in texts) + alone.sum()).backward()
    without = {name for name, weight in encoder.named_parameters() if weight.grad is None}
    assert without == {f'image_encoder.{n}' for n, _ in encoder.image_encoder.named_parameters()}
    encoder.zero_grad()


def test_pairs_of_a_batch_share_the_maps(encoder):
    """Two pairings of a batch run the backbone once."""
    calls = []
    handle = encoder.image_encoder.register_forward_hook(lambda *_: calls.append(1))
    model = type('Model', (), dict(backbone=encoder))()
    inputs = dict(image=torch.randn(2, 3, 64, 64), token_ids=torch.randint(20, (2, 5)))
    features = Features(model, dict(inputs, text_mask=None))
    assert features.pair.images and features.image
    swapped = features.pairs([1, 0], [0, 1], cls_only=True)
    handle.remove()
    assert len(calls) == 1
    expected = encoder.encode_pair(inputs['image'].flip(0), inputs['token_ids']).texts[-1][:, :1]
    torch.testing.assert_close(swapped.texts[-1], expected)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(image_encoder=dict(RESNET, out_indices=(1, 2, 3))), r'strides \(8, 16, 32\)'),
        (dict(embed_dims=(4, 8, 12, 24)), 'the last must be the size of the text encoder, 16'),
    ],
)
def test_wrong_sizes_are_refused(change, message):
    settings = dict(SIZES, **change)
    backbone = settings.pop('image_encoder', RESNET)
    with pytest.raises(ValueError, match=message):
        BackboneVL(ImageBackbone(backbone, image_size=64), _text(), **settings)
