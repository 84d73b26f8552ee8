"""Contract: the tools train and rank SCAN and PFAN; their attention equals the papers'."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from projects.baselines.late_interaction.stacked_attention import (
    block_overlaps,
    position_weights,
    stacked_attention,
)

FOLDER = 'projects/baselines/late_interaction'


@pytest.mark.parametrize('row', ['scan_t2i', 'scan_i2t', 'pfan'])
def test_two_steps_and_a_ranking(two_steps, row):
    model, metrics = two_steps(f'{FOLDER}/{row}_catalogue.py')
    assert metrics['retrieval/itr/queries'] > 0
    assert model.head('itm').direction == (
        'image_to_text' if row == 'scan_i2t' else 'text_to_image'
    )


def _naive(queries, context, sharpness, pooling, lse):
    """SCAN Eq. 1 to 5 by a loop over queries, for a pair without padding."""
    similarity = np.maximum(queries @ context.T, 0)
    similarity = similarity / np.sqrt((similarity**2).sum(0, keepdims=True) + 1e-16)
    cosines = []
    for i, query in enumerate(queries):
        weights = np.exp(sharpness * similarity[i])
        attended = (weights / weights.sum()) @ context
        cosines.append(query @ attended / np.linalg.norm(query) / np.linalg.norm(attended))
    if pooling == 'mean':
        return np.mean(cosines)
    return np.log(np.exp(lse * np.array(cosines)).sum()) / lse


@pytest.mark.parametrize('pooling', ['mean', 'lse'])
def test_attention_is_the_papers(pooling):
    words = F.normalize(torch.randn(1, 5, 8, dtype=torch.float64), dim=-1)
    regions = F.normalize(torch.randn(1, 7, 8, dtype=torch.float64), dim=-1)
    expected = _naive(words[0].numpy(), regions[0].numpy(), 9.0, pooling, 6.0)
    mask = torch.tensor([[True] * 5 + [False] * 2])
    padded = torch.cat((words, torch.ones(1, 2, 8, dtype=torch.float64)), 1)
    score = stacked_attention(padded, regions, mask, None, 9.0, pooling, 6.0)
    assert score.item() == pytest.approx(expected, rel=1e-6)
    expected = _naive(regions[0].numpy(), words[0].numpy(), 4.0, pooling, 6.0)
    score = stacked_attention(regions, padded, None, mask, 4.0, pooling, 6.0)
    assert score.item() == pytest.approx(expected, rel=1e-6)


def test_attention_over_blocks_by_a_loop():
    logits, overlaps = np.random.default_rng(0).normal(size=4), np.array([1.0, 0.25, 0.0, 0.5])
    inner = np.exp(np.tanh(logits)) * (overlaps > 0)
    outer = np.exp(overlaps * inner / inner.sum()) * (overlaps > 0)
    weights = position_weights(torch.tensor(logits)[None, None], torch.tensor(overlaps)[None, None])
    np.testing.assert_allclose(weights[0, 0].numpy(), outer / outer.sum(), rtol=1e-6)


def test_a_region_without_area_attends_to_all_blocks():
    weights = position_weights(torch.randn(1, 1, 4), block_overlaps(torch.zeros(1, 1, 5), 2))
    assert torch.equal(weights, torch.full((1, 1, 4), 0.25))


def test_blocks_that_a_region_overlaps():
    # of 2 x 2 blocks: the left half covers two of them, a quarter in the middle a quarter of each
    boxes = torch.tensor([[[0, 0, 0.5, 1], [0.25, 0.25, 0.75, 0.75], [0.5, 0.5, 1, 1]]])
    expected = [[1, 0, 1, 0], [0.25] * 4, [0, 0, 0, 1]]
    torch.testing.assert_close(block_overlaps(boxes, 2)[0], torch.tensor(expected).float())
