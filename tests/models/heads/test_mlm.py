"""Contract: Eq. 7 over masked tokens only, without logits for the whole sequence."""

import pytest
import torch
import torch.nn.functional as F

from mvlt.models import MLMHead
from tests.models.heads.stand_ins import loss_of


@pytest.fixture
def head():
    return MLMHead(in_channels=8, vocab_size=20, token_embed_dim=6)


def _inputs():
    text, table = torch.randn(3, 5, 8), torch.randn(20, 6)
    labels = torch.full((3, 5), -1)
    labels[0, 1], labels[0, 3], labels[1, 2], labels[2, 4] = 7, 0, 19, 3
    return text, table, labels


def test_loss_against_the_naive_full_matrix(head):
    text, table, labels = _inputs()
    logits = head(text=text.flatten(0, 1), token_embedding=table)
    expected = F.cross_entropy(logits, labels.flatten(), ignore_index=-1)
    loss = loss_of(head, text=text, words=labels, matched=None, token_embedding=table)
    torch.testing.assert_close(loss, expected)


def test_mismatched_pairs_are_left_out_by_default(head):
    text, table, labels = _inputs()
    kept = loss_of(
        head, text=text, words=labels, matched=torch.tensor([1, 0, 1]), token_embedding=table
    )
    alone = labels.clone()
    alone[1] = -1
    torch.testing.assert_close(
        kept, loss_of(head, text=text, words=alone, matched=None, token_embedding=table)
    )
    head.loss_on = 'all'
    every = loss_of(
        head, text=text, words=labels, matched=torch.tensor([1, 0, 1]), token_embedding=table
    )
    assert every != kept


def test_only_masked_positions_are_scored(head, monkeypatch):
    text, table, labels = _inputs()
    scored = []
    forward = MLMHead.forward
    monkeypatch.setattr(
        MLMHead, 'forward', lambda self, **kw: scored.append(len(kw['text'])) or forward(self, **kw)
    )
    loss_of(head, text=text, words=labels, matched=None, token_embedding=table)
    assert scored == [4]


def test_nothing_masked_gives_zero_and_gradients(head):
    text, table, labels = _inputs()
    loss = loss_of(
        head, text=text.requires_grad_(), words=labels * 0 - 1, matched=None, token_embedding=table
    )
    loss.backward()
    assert loss == 0 and (head.bias.grad == 0).all()


def test_decoder_is_tied_to_the_token_embeddings(head):
    table = torch.randn(20, 6, requires_grad=True)
    head(text=torch.randn(2, 8), token_embedding=table).sum().backward()
    assert table.grad is not None and not any(p.shape == (20, 6) for p in head.parameters())


def test_unknown_choice():
    with pytest.raises(ValueError, match="legal: 'matched', 'all'"):
        MLMHead(8, 20, loss_on='some')
