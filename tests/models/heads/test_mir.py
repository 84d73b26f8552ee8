"""Contract: smooth L1 as Eq. 5, in pixel values 0..1, over the image or its masked part."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from mvlt.models import MIRHead
from tests.models.heads.stand_ins import loss_of


@pytest.fixture
def head():
    return MIRHead(decoded_channels=4, stride=4, loss_weight=10.0)


def _eq_5(difference: torch.Tensor) -> torch.Tensor:
    size = difference.abs()
    return torch.where(size < 1, 0.5 * difference**2, size - 0.5)


def test_loss_is_eq_5_over_the_whole_image_times_10(head):
    decoded, target = 5 * torch.randn(2, 4, 8, 8), torch.rand(2, 3, 32, 32)
    difference = head(decoded=decoded) - target
    assert (difference.abs() > 1).any() and (difference.abs() < 1).any()  # both branches
    loss = loss_of(head, decoded=decoded, target=target, mask=None)
    torch.testing.assert_close(loss, 10 * _eq_5(difference).mean())


def test_loss_over_masked_pixels_only(head):
    head.loss_on = 'masked'
    decoded, target = torch.randn(1, 4, 8, 8), torch.rand(1, 3, 32, 32)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, 1, 2] = True  # pixels 8..15 down, 16..23 across
    difference = (head(decoded=decoded) - target)[:, :, 8:16, 16:24]
    loss = loss_of(head, decoded=decoded, target=target, mask=mask)
    torch.testing.assert_close(loss, 10 * _eq_5(difference).mean())
    assert loss_of(head, decoded=decoded, target=target, mask=mask & False) == 0


def test_each_cell_predicts_its_own_pixels(head):
    decoded = torch.zeros(1, 4, 8, 8)
    before = head(decoded=decoded)
    decoded[0, :, 2, 5] = 1
    changed = (head(decoded=decoded) != before).any(1)[0]
    assert before.shape == (1, 3, 32, 32)
    assert changed[8:12, 20:24].all() and changed.sum() == 16


def test_prediction_is_clipped(head):
    batch = SimpleNamespace(inputs=dict(pixels=None))
    image = head.predict(SimpleNamespace(decoded=100 * torch.randn(1, 4, 8, 8)), batch)[
        'reconstruction'
    ]
    assert image.min() == 0 and image.max() == 1


def test_masked_loss_over_single_pixels():
    """A mask of pixels, as of strokes: the error of the masked pixels alone."""
    head = MIRHead(decoded_channels=4, stride=4, loss_on='masked', loss_weight=1.0)
    decoded, target = torch.randn(2, 4, 4, 4), torch.rand(2, 3, 16, 16)
    mask = torch.zeros(2, 16, 16, dtype=torch.bool)
    mask[0, 3, 5] = mask[1, 0, :7] = True
    image = head(decoded=decoded)
    errors = [
        F.smooth_l1_loss(image[b, :, y, x], target[b, :, y, x], reduction='none')
        for b, y, x in mask.nonzero().tolist()
    ]
    expected = torch.stack(errors).mean()
    torch.testing.assert_close(loss_of(head, decoded=decoded, target=target, mask=mask), expected)
