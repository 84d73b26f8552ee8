"""Contract: every joint encoder reads image and text together, with one interface."""

import pytest
import torch
import torch.nn.functional as F

from mvlt.models import MVLT, PVTV2VL, PVTVL, Features, ViTVL
from mvlt.models.layers import MLP, OverlapPatchEmbedding, PooledAttention
from mvlt.structures import PairDataSample

SMALL = dict(image_size=64, context_length=12, vocab_size=50, token_embed_dim=16)
PYRAMID = dict(
    SMALL, embed_dims=(8, 16, 24, 32), num_heads=(1, 2, 3, 4), depths=(1, 1, 1, 1), pool_size=3
)
SINGLE = dict(SMALL, embed_dims=(24,), depth=2, num_heads=3)


@pytest.fixture(params=['pvt_v2', 'vit'])
def backbone(request):
    return (PVTV2VL(**PYRAMID) if request.param == 'pvt_v2' else ViTVL(**SINGLE)).eval()


def test_shapes_follow_strides(backbone):
    features = backbone.encode_pair(torch.randn(2, 3, 64, 96), torch.randint(5, 50, (2, 9)))
    assert len(features.images) == len(features.texts) == len(backbone.strides)
    for image, text, dims, stride in zip(*features, backbone.embed_dims, backbone.strides):
        assert image.shape == (2, dims, 64 // stride, 96 // stride)
        assert text.shape == (2, 9, dims)


def test_strides():
    assert PVTV2VL(**PYRAMID).strides == (4, 8, 16, 32)
    assert ViTVL(**SINGLE).strides == (32,)  # alpha 8 x P 4, Fig. 4a


def test_padding_is_masked_out(backbone):
    image, tokens = torch.randn(2, 3, 64, 64), torch.randint(5, 50, (2, 9))
    alone = backbone.encode_pair(image, tokens)
    padded = torch.cat((tokens, torch.zeros(2, 3, dtype=torch.long)), 1)
    masked = backbone.encode_pair(image, padded, padded != 0)
    torch.testing.assert_close(masked.texts[-1][:, :9], alone.texts[-1], atol=1e-5, rtol=0)
    torch.testing.assert_close(masked.images[-1], alone.images[-1], atol=1e-5, rtol=0)


def test_image_and_text_see_each_other(backbone):
    image, tokens = torch.randn(2, 3, 64, 64), torch.randint(5, 50, (2, 9))
    before = backbone.encode_pair(image, tokens)
    assert (
        before.images[0] - backbone.encode_pair(image, tokens.roll(1, 1)).images[0]
    ).abs().max() > 1e-4
    assert (
        before.texts[0] - backbone.encode_pair(image.roll(1, 0), tokens).texts[0]
    ).abs().max() > 1e-4


@pytest.mark.parametrize('kind', ['pvt', 'pvt_v2', 'vit'])
def test_cls_alone_equals_cls_of_the_whole(kind):
    """Values and gradients, with a last layer that computes [CLS] only."""
    pvt = dict(PYRAMID, reductions=(2, 2, 1, 1), depths=(1, 1, 1, 2))
    del pvt['pool_size']
    kinds = dict(pvt=(PVTVL, pvt), pvt_v2=(PVTV2VL, PYRAMID), vit=(ViTVL, SINGLE))
    kind, settings = kinds[kind]
    backbone = kind(**settings, drop_path_rate=0.5, token_dropout=0.0)
    image, tokens = torch.randn(3, 3, 64, 64), torch.randint(5, 50, (3, 9))
    mask = torch.ones(3, 9, dtype=torch.bool)
    mask[0, 5:] = False
    results = []
    for alone in (False, True):
        torch.manual_seed(0)  # drop the same layers
        features = backbone.encode_pair(image, tokens, mask, cls_only=alone)
        cls = features.texts[-1][:, 0]
        backbone.zero_grad()
        cls.square().sum().backward()
        gradients = [p.grad.clone() for p in backbone.parameters() if p.grad is not None]
        results.append((cls, [g for g in gradients if g.abs().max() > 0]))
        assert len(features.images) == len(backbone.strides) - alone
    (whole, gradients), (cls, cls_gradients) = results
    torch.testing.assert_close(cls, whole, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(cls_gradients, gradients, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize('kind', ['pvt_v2', 'vit'])
def test_training_uses_every_weight(kind):
    """DistributedDataParallel stops at the second step if a weight has no gradient."""
    settings = dict(PYRAMID, type='mvlt.PVTV2VL')
    if kind == 'vit':
        settings = dict(SINGLE, type='mvlt.ViTVL')
    head = dict(type='mvlt.CategoryHead', num_classes=3, hidden_dims=8)
    model = MVLT(
        backbone=settings,
        heads=dict(main_category=head),
        data_preprocessor=dict(type='mvlt.PairDataPreprocessor'),
    )
    sample = PairDataSample()
    sample.main_category = 1
    inputs = dict(
        image=torch.randn(1, 3, 64, 64), token_ids=torch.randint(5, 50, (1, 9)), text_mask=None
    )
    model.loss(inputs, [sample])['loss_main_category'].backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    with torch.no_grad():  # unread features are not computed
        features = Features(model, inputs, cls_only=True)
        assert len(features.pair.images) == len(model.backbone.strides) - 1


@pytest.mark.parametrize('rows', [1, 2048, 5000])
def test_an_mlp_in_blocks_is_the_mlp(rows):
    mlp, x = MLP(4, 12), torch.randn(2, rows, 4)
    whole = mlp(x)
    assert whole.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(mlp(x), whole, atol=1e-6, rtol=1e-5)


def test_reconstruction_needs_a_pyramid():
    parts = dict(neck=dict(type='mvlt.UNet'), heads=dict(mir=dict(type='mvlt.MIRHead')))
    MVLT(backbone=dict(PYRAMID, type='mvlt.PVTV2VL'), **parts)
    for neck in ('UNet', 'PartialDecoder'):
        parts['neck'] = dict(type=f'mvlt.{neck}')
        with pytest.raises(ValueError, match=rf'{neck} needs .* gives \(32,\): take a pyramid'):
            MVLT(backbone=dict(SINGLE, type='mvlt.ViTVL'), **parts)


def test_overlapping_patches_are_seven_and_three_wide():
    """PVT-v2: kernel 2S - 1, padding S - 1, stride S."""
    first, later = OverlapPatchEmbedding(3, 8, 4), OverlapPatchEmbedding(8, 16, 2)
    assert (first.projection.kernel_size, first.projection.padding) == ((7, 7), (3, 3))
    assert (later.projection.kernel_size, later.projection.padding) == ((3, 3), (1, 1))
    tokens, size = first(torch.randn(1, 3, 32, 64))
    assert size == (8, 16) and tokens.shape == (1, 128, 8)


def test_pooled_attention_is_the_formula():
    """Linear SRA of PVT-v2, written out for one head."""
    layer = PooledAttention(8, 1, pool_size=2)
    x = torch.randn(2, 16 + 3, 8)
    image = x[:, :16].transpose(1, 2).reshape(2, 8, 4, 4)
    corners = torch.stack(
        [image[..., r : r + 2, c : c + 2].mean((2, 3)) for r in (0, 2) for c in (0, 2)], 1
    )
    mixed = corners @ layer.reduce.weight[:, :, 0, 0].T + layer.reduce.bias
    keys, values = layer.key_value(
        torch.cat((F.gelu(layer.reduce_norm(mixed)), x[:, 16:]), 1)
    ).split(8, dim=2)
    weights = (layer.query(x) @ keys.mT / 8**0.5).softmax(-1)
    torch.testing.assert_close(
        layer(x, (4, 4), None), layer.out(weights @ values), atol=1e-5, rtol=0
    )


def test_text_skips_the_depthwise_convolution():
    layer = PVTV2VL(**PYRAMID).stages[0].layers[0]
    x = torch.randn(1, 16 + 3, 8)
    naive = layer.mlp(x)[:, 16:]
    torch.testing.assert_close(layer.feed_forward(x, (4, 4))[:, 16:], naive)
    moved = x.clone()
    moved[:, 0] += 1
    after = layer.feed_forward(moved, (4, 4)) - layer.feed_forward(x, (4, 4))
    changed = after.abs().sum(-1)[0] > 1e-7
    assert changed.nonzero().flatten().tolist() == [0, 1, 4, 5]  # the corner's 3 x 3 neighbours


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: PVTV2VL(**{**PYRAMID, 'arch': 'b9'}), "arch='b9' is unknown; legal: b0"),
        (lambda: PVTV2VL(**{**PYRAMID, 'mlp_ratios': (4,)}), 'one value for each of 4 stages'),
        (lambda: ViTVL(**{**SINGLE, 'embed_dims': (8, 8)}), 'one stage, one size'),
        (lambda: ViTVL(**{**SINGLE, 'image_size': 40}), '32 must divide the side'),
        (lambda: ViTVL(**{**SINGLE, 'patch_size': 24}), 'patch_size=24 does not divide'),
    ],
)
def test_bad_sizes(build, message):
    with pytest.raises(ValueError, match=message):
        build()
