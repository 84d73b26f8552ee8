"""Contract: losses over features and classes of masked patches, by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from mvlt.models import (
    MVLT,
    BackboneTargets,
    HOGTargets,
    MaskedClusterHead,
    MaskedFeatureHead,
)
from mvlt.structures import PairDataSample
from tests.models.heads.stand_ins import loss_of

HOG = dict(type='mvlt.HOGTargets', stride=8)


def _edge(angle):
    """An image whose brightness grows in one direction."""
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing='ij')
    ramp = (columns * math.cos(angle) + rows * math.sin(angle)) / 64
    return ramp.expand(1, 3, 16, 16)


@pytest.mark.parametrize(('degrees', 'bin_'), [(10, 0), (50, 2), (95, 4), (170, 8), (190, 0)])
def test_gradients_vote_for_their_direction(degrees, bin_):
    """Nine directions of 20 degrees; opposite directions are equal."""
    features = HOGTargets(stride=8)(_edge(math.radians(degrees)))
    assert features.shape == (1, 27, 2, 2)
    for colour in features.unflatten(1, (3, 9))[0]:
        assert (colour.argmax(0) == bin_).all() and (colour[bin_] > 0.8).all()
        torch.testing.assert_close(colour.norm(dim=0), torch.ones(2, 2))


def test_uniform_images_have_no_direction():
    assert not HOGTargets()(torch.full((2, 3, 16, 16), 0.5)).any()


def _head(kind, **kwargs):
    return kind(decoded_channels=6, stride=4, targets=HOG, **kwargs)


def test_regression_is_the_error_over_masked_patches():
    head = _head(MaskedFeatureHead, loss_weight=2.0)
    decoded, target = torch.randn(2, 6, 8, 8), torch.rand(2, 3, 32, 32)
    mask = torch.rand(2, 4, 4) < 0.5  # units of 8 pixels: the patches
    mask[0, 0, 0] = True
    total, count = 0.0, 0
    features = head.targets(target)
    for b, y, x in mask.nonzero().tolist():
        cell = decoded[b, :, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((1, 2))
        predicted = head.predict_patches.weight[:, :, 0, 0] @ cell + head.predict_patches.bias
        expected = F.layer_norm(features[b, :, y, x], (27,))
        total += (predicted - expected).square().mean()
        count += 1
    loss = loss_of(head, decoded=decoded, target=target, mask=mask)
    torch.testing.assert_close(loss, 2 * total / count)


def test_classification_is_cross_entropy_of_the_nearest_cluster():
    head = _head(MaskedClusterHead, num_clusters=5)
    decoded, target = torch.randn(1, 6, 8, 8), torch.rand(1, 3, 32, 32)
    with pytest.raises(ValueError, match='add FitClustersHook'):
        loss_of(head, decoded=decoded, target=target, mask=None)
    features = head.targets(target)
    head.centroids.copy_(features[0].flatten(1).T[:5])  # the first five patches
    assert head.clusters(features)[0].flatten()[:5].tolist() == [0, 1, 2, 3, 4]
    logits = head(decoded=decoded, size=(4, 4))
    expected = F.cross_entropy(logits, head.clusters(features))
    torch.testing.assert_close(loss_of(head, decoded=decoded, target=target, mask=None), expected)


def test_a_coarse_cell_predicts_each_of_its_patches():
    """A light decoder's cell of 32 pixels has 16 patches of 8."""
    head = MaskedFeatureHead(decoded_channels=6, stride=32, targets=HOG)
    predicted = head(decoded=torch.randn(2, 6, 2, 3), size=(8, 12))
    assert predicted.shape == (2, 27, 8, 12)
    assert len(predicted[0, :, :4, :4].flatten(1).T.unique(dim=0)) == 16
    with pytest.raises(ValueError, match='patches of 8 pixels and the neck.s cells of 12 do not'):
        MaskedFeatureHead(decoded_channels=6, stride=12, targets=HOG)


def test_a_patch_is_masked_if_half_of_it_is():
    """Masks of pixels count, too; without masked pixels the loss is 0."""
    head = _head(MaskedFeatureHead)
    decoded, target = torch.randn(1, 6, 4, 4), torch.rand(1, 3, 16, 16)
    mask = torch.zeros(1, 16, 16, dtype=torch.bool)
    assert loss_of(head, decoded=decoded, target=target, mask=mask) == 0
    mask[0, :4, :8] = True  # half of the first patch
    mask[0, 8:, 8:11] = True  # three eighths of the last
    units = torch.tensor([[[True, False], [False, False]]])
    torch.testing.assert_close(
        loss_of(head, decoded=decoded, target=target, mask=mask),
        loss_of(head, decoded=decoded, target=target, mask=units),
    )


def test_a_frozen_backbone_is_never_trained():
    backbone = dict(type='mmpretrain.ResNet', depth=18, out_indices=(2,))
    targets = BackboneTargets(backbone, channels=256, stride=16)
    assert not any(weight.requires_grad for weight in targets.parameters())
    targets.train()
    assert not any(module.training for module in targets.modules())
    image = torch.rand(2, 3, 64, 64)
    assert targets(image).shape == (2, 256, 4, 4)
    assert torch.equal(targets(image), targets(image))
    with torch.device('meta'):  # as for a plot of the model
        BackboneTargets(backbone, channels=256, stride=16)
    with pytest.raises(ValueError, match=r'gives \(2, 256, 4, 4\), channels and stride say'):
        BackboneTargets(backbone, channels=256, stride=8)(image)


def test_a_model_with_it_reconstructs_no_image():
    model = MVLT(
        backbone=dict(
            type='mvlt.PVTVL', image_size=32, context_length=8, vocab_size=20, token_embed_dim=8,
            embed_dims=(8, 8, 8, 8), num_heads=(1,) * 4, depths=(1,) * 4,
        ),
        neck=dict(type='mvlt.UNet'),
        heads=dict(
            mir=dict(type='mvlt.MaskedFeatureHead', targets=HOG),
            itm=dict(type='mvlt.ITMHead', hidden_dims=8),
        ),
    ).eval()  # fmt: skip
    assert not model.gives('pixels') and model.gives('match')
    inputs = dict(image=torch.rand(1, 3, 32, 32), token_ids=torch.ones(1, 4).long(), text_mask=None)
    (sample,) = model.predict(inputs, [PairDataSample()])
    assert 'reconstruction' not in sample and 'itm_score' in sample
