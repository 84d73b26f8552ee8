"""Contract: joint layers beside a backbone's stages; its maps do not depend on the caption."""

import pytest
import torch

from mvlt.models import BackboneVL, ImageBackbone

RESNET = dict(
    type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=(0, 1, 2, 3)
)
SIZES = dict(
    image_size=64,
    context_length=8,
    vocab_size=20,
    token_embed_dim=8,
    embed_dims=(4, 8, 12, 16),
    depths=(1, 1, 1),
    num_heads=(1, 2, 2),
    pool_size=2,
)


@pytest.fixture(scope='module')
def encoder():
    torch.manual_seed(0)
    return BackboneVL(ImageBackbone(RESNET, image_size=64), **SIZES).eval()


@torch.no_grad()
def test_shapes_and_shared_maps(encoder):
    image, ids = torch.randn(2, 3, 64, 64), torch.randint(20, (2, 5))
    images, texts = encoder.encode_pair(image, ids)
    assert [tuple(x.shape[1:]) for x in images] == [(4, 16, 16), (8, 8, 8), (12, 4, 4), (16, 2, 2)]
    assert [tuple(x.shape) for x in texts] == [(2, 5, c) for c in (4, 8, 12, 16)]
    maps = encoder.maps(image)
    again = encoder.encode_pair(maps, ids)
    assert all(map(torch.equal, (*images, *texts), (*again.images, *again.texts)))
    cls = encoder.encode_pair(maps, ids, cls_only=True).texts[-1]
    torch.testing.assert_close(cls, texts[-1][:, :1])


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
    (sum(x.sum() for x in images) + sum(x.sum() for x in texts)).backward()
    without = {name for name, weight in encoder.named_parameters() if weight.grad is None}
    assert without == {f'image_encoder.{n}' for n, _ in encoder.image_encoder.named_parameters()}
    encoder.zero_grad()


def test_other_strides_are_refused():
    three = dict(RESNET, out_indices=(1, 2, 3))
    with pytest.raises(ValueError, match=r'strides \(8, 16, 32\).*out_indices'):
        BackboneVL(ImageBackbone(three, image_size=64), **SIZES)
