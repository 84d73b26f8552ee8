"""Contract: two-class softmax cross-entropy is the binary cross-entropy of Eq. 6."""

import torch
import torch.nn.functional as F

from mvlt.models import ITMHead
from tests.models.heads.stand_ins import answer_of, loss_of


def test_loss_is_eq_6():
    head = ITMHead(in_channels=8, hidden_dims=16, loss_weight=2.0)
    cls, matched = torch.randn(5, 8), torch.tensor([1, 0, 1, 1, 0])
    p = torch.tensor(answer_of(head, cls=cls))
    assert p.shape == (5,) and ((p > 0) & (p < 1)).all()
    expected = -2 * (matched * p.log() + (1 - matched) * (1 - p).log()).mean()
    torch.testing.assert_close(loss_of(head, cls=cls, matched=matched), expected)


def test_itm_logits_do_not_tie_where_probabilities_do():
    """Above log-odds of 16.6 float32 probabilities are 1."""
    head = ITMHead(in_channels=8, hidden_dims=16)
    cls = torch.randn(6, 8)
    expected = head(cls=cls).diff(dim=-1)[:, 0]
    torch.testing.assert_close(head.itm_logits(cls=cls), expected)
    with torch.no_grad():
        head.classifier.bias += torch.tensor([0.0, 30.0])
    assert answer_of(head, cls=cls) == [1.0] * 6
    torch.testing.assert_close(head.itm_logits(cls=cls), expected + 30, atol=1e-5, rtol=0)


def test_probability_is_that_of_the_second_logit():
    head = ITMHead(in_channels=8, hidden_dims=16)
    cls = torch.randn(3, 8)
    torch.testing.assert_close(
        torch.tensor(answer_of(head, cls=cls)), F.softmax(head(cls=cls), -1)[:, 1]
    )


def test_itm_logits_do_not_tie_under_autocast():
    """Of 2,000 log-odds around 15 hundreds would be equal in bfloat16, which has 8 bits."""
    head = ITMHead(in_channels=8, hidden_dims=16)
    with torch.no_grad():
        head.classifier.weight *= 500
        cls = torch.randn(2000, 8).bfloat16()
        with torch.autocast('cpu', torch.bfloat16):
            logits = head.itm_logits(cls=cls)
    assert logits.dtype == torch.float32 and logits.abs().max() > 10
    assert len(logits.unique()) == len(cls.unique(dim=0))
