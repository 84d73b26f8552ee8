"""Contract: softmax over the pairs of a group; pairs rank by the matching probability."""

import pytest
import torch

from mvlt.models import ITMHead, RankingHead
from tests.models.heads.stand_ins import answer_of, loss_of


def test_loss_is_the_softmax_over_the_group():
    head = RankingHead(in_channels=8, group_size=3, hidden_dims=16, loss_weight=2.0)
    cls, matched = torch.randn(6, 8), torch.tensor([1, 0, 0, 0, 0, 1])
    logits = head(cls=cls)
    odds = (logits[:, 1] - logits[:, 0]).exp()
    expected = -(odds[0] / odds[:3].sum()).log() - (odds[5] / odds[3:].sum()).log()
    torch.testing.assert_close(loss_of(head, cls=cls, matched=matched), 2 * expected / 2)


def test_weights_are_those_of_the_matching_head():
    torch.manual_seed(0)
    matching = ITMHead(in_channels=8, hidden_dims=16)
    ranking = RankingHead(in_channels=8, hidden_dims=16)
    ranking.load_state_dict(matching.state_dict())
    cls = torch.randn(4, 8)
    torch.testing.assert_close(answer_of(ranking, cls=cls), answer_of(matching, cls=cls))


@pytest.mark.parametrize('matched', [[1, 0, 0, 1], [1, 1, 0], [0, 0, 0]])
def test_batches_without_groups(matched):
    head = RankingHead(in_channels=8, group_size=3, hidden_dims=16)
    with pytest.raises(ValueError, match='num_negatives=2 and collate_fn'):
        loss_of(head, cls=torch.randn(len(matched), 8), matched=torch.tensor(matched))
