"""Contract: cross-entropy over the classes of the data; a class out of range is named."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from mvlt.models import CategoryHead
from tests.models.heads.stand_ins import answer_of, loss_of


def test_loss_and_probabilities():
    head = CategoryHead(8, num_classes=5, hidden_dims=16, loss_weight=0.5)
    cls, category = torch.randn(4, 8), torch.tensor([0, 4, 2, 2])
    expected = 0.5 * F.cross_entropy(head(cls=cls), category)
    torch.testing.assert_close(loss_of(head, cls=cls, category=category), expected)
    assert answer_of(head, cls=cls).shape == (4, 5)
    torch.testing.assert_close(answer_of(head, cls=cls).sum(-1), torch.ones(4))


def test_label_out_of_range():
    with pytest.raises(ValueError, match='index 5, but the head has 5 classes'):
        loss_of(CategoryHead(8, 5), cls=torch.randn(1, 8), category=torch.tensor([5]))


@pytest.mark.parametrize('wrong', ['data', 0, None])
def test_number_of_classes(wrong):
    with pytest.raises(ValueError, match='give a positive number'):
        CategoryHead(8, wrong)


def test_mixed_images_have_two_classes():
    """By hand: 0.7 of the image's class, 0.3 of the partner's, each a mean over known classes."""
    head = CategoryHead(4, 3, hidden_dims=8, reads='image')
    torch.manual_seed(0)
    pooled, classes = torch.randn(3, 4), torch.tensor([2, -1, 0])
    partner = torch.tensor([1, 2, 0])
    batch = SimpleNamespace(
        values=lambda key: classes.tolist(), labels=lambda key: classes, mixed=(partner, 0.7)
    )
    logs = head(cls=pooled).log_softmax(-1)
    of_image = -(logs[0, 2] + logs[2, 0]) / 2
    of_partner = -(logs[1, 0] + logs[2, 2]) / 2
    loss = head.loss(SimpleNamespace(pooled_image=pooled), batch)['loss']
    torch.testing.assert_close(loss, 0.7 * of_image + 0.3 * of_partner)
