"""Contract: seven one-stream baselines train and rank; their objectives equal the papers'."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mvlt.structures import Batch, PairDataSample
from projects.baselines.one_stream.objectives import (
    JIGSAWS,
    MaskedPatchKLHead,
    MaskOneModality,
    TagHead,
    adaptive_weights,
    replaced,
    shuffled,
    transport_distance,
    turned,
)
from projects.baselines.one_stream.one_stream import OneStream

FOLDER = 'projects/baselines/one_stream'
ROWS = {
    'image_bert': {'itm', 'mlm', 'region_classes', 'region_features'},
    'unicoder_vl': {'itm', 'mlm', 'region_classes'},
    'vl_bert': {'itm', 'mlm', 'region_classes'},
    'uniter': {'itm', 'mlm', 'region_classes', 'region_features', 'alignment'},
    'fashion_bert': {'itm', 'mlm', 'patches'},
    'oscar': {'itm', 'mlm', 'tags'},
    'kaleido_bert': {'itm', 'mlm', 'kaleido'},
}
CATEGORIES = {'sub_category'}  # the small catalogue's
CNN = dict(type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=(3,))


@pytest.mark.parametrize('row', ROWS)
def test_two_steps_and_a_ranking(two_steps, row):
    clusters = {'model.heads.region_classes.num_clusters': 4}
    options = clusters if 'region_classes' in ROWS[row] else {}
    model, metrics = two_steps(f'{FOLDER}/{row}_catalogue.py', options)
    assert {*model.heads} == ROWS[row] | CATEGORIES
    assert metrics['retrieval/tir/candidates'] == 3


def _backbone(**kwargs):
    torch.manual_seed(0)
    return OneStream(40, dims=16, depth=2, num_heads=2, cnn=CNN, cnn_dims=64, **kwargs).eval()


@pytest.mark.parametrize('kwargs', [{}, dict(visual_words=True), dict(tags=5), dict(scales=(1, 2))])
def test_padding_changes_nothing(kwargs):
    backbone = _backbone(**kwargs)
    image, ids = torch.randn(2, 3, 64, 64), torch.tensor([[2, 7, 9, 3]] * 2)
    alone = backbone.encode_pair(image, ids)
    padded = torch.nn.functional.pad(ids, (0, 3))
    encoded = backbone.encode_pair(image, padded, padded != 0)
    torch.testing.assert_close(encoded.texts[0][:, :4], alone.texts[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoded.images[0], alone.images[0], rtol=1e-4, atol=1e-5)
    assert alone.images[0].shape == ((2, 16, 5, 1) if 'scales' in kwargs else (2, 16, 2, 2))


def test_tags_are_predicted_or_given():
    backbone = _backbone(tags=5, tags_shown=2)
    image, ids = torch.randn(1, 3, 64, 64), torch.tensor([[2, 7, 3]])
    tags = backbone.tag_logits(image).topk(2).indices
    encoded, same = backbone.encode_pair(image, ids), backbone.encode_pair(image, ids, tags=tags)
    assert torch.equal(encoded.texts[0], same.texts[0])
    assert not torch.equal(
        encoded.texts[0], backbone.encode_pair(image, ids, tags=(tags + 1) % 5).texts[0]
    )


def test_tags_in_another_order_are_not_polluted():
    class Backbone:
        tags_shown = 2

        def tag_logits(self, image):
            return torch.tensor([[3.0, 2, 0], [2, 3, 0]])

        def encode_pair(self, image, ids, mask, tags):
            return SimpleNamespace(texts=(torch.zeros(2, 1, 4),))

    head = TagHead(4)
    torch.nn.init.constant_(head.polluted.bias, -50)  # always predicts 'not polluted'
    inputs = dict(image=None, token_ids=torch.zeros(2, 1, dtype=torch.int64), text_mask=None)
    features = SimpleNamespace(model=SimpleNamespace(backbone=Backbone()), inputs=inputs)
    samples = [PairDataSample(), PairDataSample()]
    for sample, label in zip(samples, (0, 1)):
        sample.set_field(label, 'sub_category')
    named = torch.nn.functional.cross_entropy(torch.tensor([[3.0, 2, 0]]), torch.tensor([0]))
    for _ in range(20):  # for any random draw
        loss = head.loss(features, Batch(inputs, samples))['loss']
        assert loss.item() == pytest.approx(0.5 * named.item(), rel=1e-5)


def _naive_transport(cost, iterations, step):
    """IPOT of Xie et al. (2018), Algorithm 1, with uniform marginals."""
    n, m = cost.shape
    kernel, plan, b = np.exp(-cost / step), np.ones((n, m)), np.full(m, 1 / m)
    for _ in range(iterations):
        q = kernel * plan
        a = 1 / (n * (q @ b))
        b = 1 / (m * (q.T @ a))
        plan = a[:, None] * q * b[None]
    return plan


def test_transport_equals_ipot():
    words, regions = torch.randn(1, 4, 6), torch.randn(1, 3, 6)
    cosine = torch.nn.functional.cosine_similarity(words[0][:, None], regions[0][None], dim=-1)
    cost = 1 - cosine.double().numpy()
    plan = _naive_transport(cost, 50, 0.5)
    np.testing.assert_allclose(plan.sum(0), 1 / 3, atol=1e-6)
    padded = torch.cat((words, torch.randn(1, 2, 6)), 1)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    distance = transport_distance(padded, regions, mask, 50, 0.5)
    assert distance.item() == pytest.approx((plan * cost).sum(), rel=1e-4)


def test_equal_tokens_and_regions_have_distance_0():
    words = torch.eye(3)[None]
    distance = transport_distance(
        words, words.flip(1), torch.ones(1, 3, dtype=torch.bool), 200, 0.5
    )
    assert distance.item() == pytest.approx(0, abs=1e-3)


def test_adaptive_weights_by_hand():
    # gradients 1 and 2: g = 1/5, 4/5; 1 / (2 - g) = 5/9, 5/6; weights 2 x 2/5, 2 x 3/5
    shared = torch.ones(1, requires_grad=True)
    free = torch.ones(1, requires_grad=True)
    other = torch.ones(1, requires_grad=True)
    losses = dict(a=shared.sum(), b=2 * other.sum(), c=free.sum())
    weights = adaptive_weights(losses, (shared, other))
    assert {name: round(value.item(), 6) for name, value in weights.items()} == dict(a=0.8, b=1.2)


def test_patches_as_distributions_by_hand():
    # softmax of (0, ln 3) is (1/4, 3/4); predicted (1/2, 1/2): 1/4 ln 1/2 + 3/4 ln 3/2
    head = MaskedPatchKLHead(4, 8, dict(type='HOGTargets', stride=8), temperature=1.0)
    feature = torch.tensor([0.0, math.log(3)]).view(1, 2, 1, 1)
    expected = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert head.errors(torch.zeros(1, 2, 1, 1), feature).item() == pytest.approx(expected)


def test_tokens_or_regions_are_masked_never_both():
    for _ in range(20):
        results = MaskOneModality().transform(
            dict(
                image_mask=np.array([[True, False]]),
                token_ids=np.array([2, 4, 3]),
                mlm_labels=np.array([-1, 9, -1]),
            )
        )
        text_masked = results['mlm_labels'][1] == 9
        assert text_masked != results['image_mask'].any()
        assert results['token_ids'].tolist() == ([2, 4, 3] if text_masked else [2, 9, 3])


def test_kaleido_augmentations():
    image = torch.arange(16.0).view(1, 1, 4, 4).repeat(2, 3, 1, 1)
    quarter = turned(image, torch.tensor([0, 1]))
    assert torch.equal(quarter[0], image[0]) and quarter[1, 0, 0].tolist() == [3, 7, 11, 15]
    order = JIGSAWS.index((1, 0, 2, 3))  # the two upper quarters change places
    mixed = shuffled(image, torch.tensor([0, order]))
    assert torch.equal(mixed[0], image[0])
    assert mixed[1, 0].tolist() == [[2, 3, 0, 1], [6, 7, 4, 5], [8, 9, 10, 11], [12, 13, 14, 15]]
    chosen = torch.tensor([[True, False, False, False], [False] * 4])
    blank = replaced(image, torch.zeros_like(image), chosen, 2)
    assert blank[0, 0].sum() == 120 - (0 + 1 + 4 + 5) and torch.equal(blank[1], image[1])
