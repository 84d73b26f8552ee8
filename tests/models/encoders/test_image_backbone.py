"""Contract: backbones of mmpretrain and timm, frozen or in part; BatchNorm keeps its statistics."""

import sys

import pytest
import torch
from torch import nn

from mvlt.models import ImageBackbone

RESNET = dict(
    type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=(0, 1, 2, 3)
)
VIT = dict(
    type='mmpretrain.TIMMBackbone',
    model_name='vit_tiny_patch16_224',
    img_size=32,
    embed_dim=12,
    depth=1,
    num_heads=2,
)


def test_maps_and_their_pooled_means():
    maps = ImageBackbone(RESNET, image_size=64).eval()
    assert (maps.embed_dims, maps.strides) == ((8, 16, 32, 64), (4, 8, 16, 32))
    pooled = ImageBackbone(RESNET, image_size=64, pooled=True).eval()
    pooled.load_state_dict(maps.state_dict())
    image = torch.randn(2, 3, 64, 64)
    means = torch.cat([values.mean((2, 3)) for values in maps(image)], 1)
    assert pooled.embed_dims == (120,)
    torch.testing.assert_close(pooled(image), means)


def test_statistics_of_a_map_by_hand():
    backbone = ImageBackbone(
        RESNET, image_size=64, pooled=True, statistics=('max', 'centre', 'std')
    )
    assert backbone.vector_dims == 3 * 120 == backbone.embed_dims[0]
    ramp = torch.arange(16.0).view(1, 1, 4, 4)
    # the middle 2 x 2 of 0..15 holds 5, 6, 9, 10; the variance of 0..n-1 is (n^2 - 1) / 12
    expected = torch.tensor([[15, 1, 7.5, 1, (255 / 12) ** 0.5, 0]])
    ones = torch.ones(1, 1, 1, 1)
    torch.testing.assert_close(backbone.pool((ramp, ones)), expected, atol=2e-3, rtol=0)


def test_a_constant_map_has_a_gradient():
    backbone = ImageBackbone(RESNET, image_size=64, statistics=('std',))
    constant = torch.zeros(1, 2, 3, 3, requires_grad=True)
    backbone.pool((constant,)).sum().backward()
    assert constant.grad.isfinite().all()


def test_an_unknown_statistic_is_named():
    with pytest.raises(ValueError, match=r"statistics=\('median',\); legal: \['mean', 'std'"):
        ImageBackbone(RESNET, image_size=64, statistics=('median',))


def test_tokens_of_timm_become_a_map():
    pytest.importorskip('timm')
    backbone = ImageBackbone(VIT, image_size=32).eval()
    (tokens,) = backbone(torch.randn(2, 3, 32, 32))
    assert tokens.shape == (2, 12, 5, 1)  # four patches and [CLS]
    assert backbone.embed_dims == (12,)


@pytest.mark.parametrize(
    ('trainable', 'trained'),
    [
        (False, set()),
        (('layer4',), {'layer4'}),
        (True, {'conv1', 'layer1', 'layer2', 'layer3', 'layer4'}),
    ],
)
def test_only_named_convolutions_are_trained(trainable, trained):
    backbone = ImageBackbone(RESNET, trainable, image_size=64).train()
    names = [name for name, weight in backbone.backbone.named_parameters() if weight.requires_grad]
    assert {name.partition('.')[0] for name in names} == trained
    assert backbone.is_frozen == (not trained)
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms and not any(norm.training for norm in norms)
    assert not any(weight.requires_grad for norm in norms for weight in norm.parameters())
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    loss = sum(values.sum() for values in backbone(torch.randn(2, 3, 64, 64)))
    assert loss.requires_grad == bool(trained)
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_without_timm_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match=r"pip install 'mvlt\[pretrained\]'"):
        ImageBackbone(VIT, image_size=32)


def test_an_unknown_part_is_named():
    with pytest.raises(ValueError, match=r"begins with 'layer5'; legal are e.g. .*layer4"):
        ImageBackbone(RESNET, ('layer5',), image_size=64)
