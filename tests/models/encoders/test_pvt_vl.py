"""Contract: four image maps at 1/4..1/32, four text sequences; [PAD] changes nothing."""

import pytest
import torch

from mvlt.models import PVTVL

TINY = dict(
    image_size=64,
    context_length=12,
    vocab_size=50,
    embed_dims=(8, 16, 24, 32),
    num_heads=(1, 2, 3, 4),
    depths=(1, 1, 1, 1),
    token_embed_dim=16,
)


def _model(**kwargs):
    return PVTVL(**{**TINY, **kwargs}).eval()


def _batch(batch=2, tokens=9, side=64):
    return torch.randn(batch, 3, side, side), torch.randint(5, 50, (batch, tokens))


def test_shapes_of_all_stages():
    features = _model().encode_pair(*_batch())
    for i, dims in enumerate(TINY['embed_dims']):
        side = 64 // 2 ** (i + 2)  # H / R_k with R = 4, 8, 16, 32 (Table 1)
        assert features.images[i].shape == (2, dims, side, side)
        assert features.texts[i].shape == (2, 9, dims)


@pytest.mark.parametrize(
    ('arch', 'layers'), [('tiny', 8), ('small', 16), ('medium', 28), ('large', 41)]
)
def test_archs_have_pvts_depths(arch, layers):
    with torch.device('meta'):
        model = PVTVL(arch=arch)
    assert sum(len(stage.layers) for stage in model.stages) == layers
    model = PVTVL(**{**TINY, 'depths': (1, 2, 1, 2)})
    assert [len(stage.layers) for stage in model.stages] == [1, 2, 1, 2]


def test_paper_sizes_by_default():
    """PVT-Tiny has 13.2 M parameters with its 1000-way classifier (its Table 1)."""
    with torch.device('meta'):
        model = PVTVL()
    image_part = sum(
        p.numel()
        for name, p in model.named_parameters()
        if not name.startswith('words') and '.text.' not in name
    )
    positions = sum(
        p.numel() for name, p in model.named_parameters() if name.endswith('patches.positions.grid')
    )
    at_224 = sum((224 // r) ** 2 * c for r, c in zip((4, 8, 16, 32), (64, 128, 320, 512)))
    pvt = image_part - positions + at_224 + 2 * 512  # PVT's last position and its class token
    assert abs(pvt + 513 * 1000 - 13.23e6) < 0.02e6


def test_padding_is_masked_out():
    model = _model()
    image, tokens = _batch()
    alone = model.encode_pair(image, tokens)
    padded = torch.cat((tokens, torch.zeros(2, 3, dtype=torch.long)), 1)
    masked = model.encode_pair(image, padded, padded != 0)
    attended = model.encode_pair(image, padded, None)
    for before, after in zip((*alone.images, *alone.texts), (*masked.images, *masked.texts)):
        after = after[:, :9] if after.ndim == 3 else after
        torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    assert (attended.texts[-1][:, :9] - alone.texts[-1]).abs().max() > 1e-3


def test_image_and_text_see_each_other():
    model = _model()
    image, tokens = _batch()
    before = model.encode_pair(image, tokens)
    other_text = model.encode_pair(image, tokens.roll(1, 1))
    other_image = model.encode_pair(image.roll(1, 0), tokens)
    assert (before.images[0] - other_text.images[0]).abs().max() > 1e-4
    assert (before.texts[0] - other_image.texts[0]).abs().max() > 1e-4


def test_naive_attention_gives_the_same():
    """scaled_dot_product_attention with reduction against the formula, written out."""
    from mvlt.models.layers import SpatialReductionAttention

    layer = SpatialReductionAttention(16, 2, 4)
    x, seen = torch.randn(2, 64 + 5, 16), torch.rand(2, 5) < 0.7
    mask = torch.cat((torch.ones(2, 4, dtype=torch.bool), seen), 1)[:, None, None]
    image = x[:, :64].transpose(1, 2).reshape(2, 16, 8, 8)
    reduced = layer.reduce_norm(layer.reduce(image).flatten(2).transpose(1, 2))
    keys, values = layer.key_value(torch.cat((reduced, x[:, 64:]), 1)).split(16, dim=2)
    heads = []
    for h in range(2):
        part = slice(8 * h, 8 * h + 8)
        weights = layer.query(x)[..., part] @ keys[..., part].mT / 8**0.5
        weights = weights.masked_fill(~mask[:, 0], -torch.inf).softmax(-1)
        heads.append(weights @ values[..., part])
    expected = layer.out(torch.cat(heads, 2))
    torch.testing.assert_close(layer(x, (8, 8), mask), expected, atol=1e-5, rtol=0)


def test_positions_are_resized_on_load_and_for_other_images():
    small, large = _model(), _model(image_size=128)
    large.load_state_dict(small.state_dict())
    grid = torch.nn.functional.interpolate(
        small.stages[0].patches.positions.grid, size=(32, 32), mode='bilinear'
    )
    torch.testing.assert_close(large.stages[0].patches.positions.grid, grid)
    image, tokens = _batch(side=128)
    resized, expected = (model.encode_pair(image, tokens).texts[-1] for model in (small, large))
    torch.testing.assert_close(resized, expected, atol=1e-5, rtol=0)


def test_oblong_images():
    maps = _model().encode_pair(torch.randn(1, 3, 96, 64), torch.randint(5, 50, (1, 4))).images
    assert [tuple(m.shape[2:]) for m in maps] == [(24, 16), (12, 8), (6, 4), (3, 2)]


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(image_size=100), '32 must divide the side; near it are 96 and 128'),
        (dict(arch='huge', depths=None), "'huge' is unknown; legal: tiny, small, medium, large"),
        (dict(arch='small'), r"arch='small' sets depths, which are \(1, 1, 1, 1\) already"),
        (dict(depths=(2, 2, 2)), 'one value for each of 4 stages'),
        (dict(num_heads=(3, 2, 3, 4)), '3 attention heads do not divide 8'),
    ],
)
def test_wrong_sizes(wrong, message):
    with pytest.raises(ValueError, match=message):
        _model(**wrong)


def test_wrong_inputs():
    with pytest.raises(ValueError, match='captions of 13 tokens, but backbone.context_length=12'):
        _model().encode_pair(*_batch(tokens=13))
    with pytest.raises(ValueError, match='32 must divide both sides'):
        _model().encode_pair(*_batch(side=80))
