"""Contract: token embeddings of any size; a linear layer maps them to the layers' size."""

import pytest
import torch

from mvlt.models import TextTransformer

SMALL = dict(vocab_size=50, context_length=12, embed_dims=16, num_heads=2, dropout=0.0)


@pytest.mark.parametrize('dims', [5, 16, None])
def test_size_of_token_embeddings(dims):
    encoder = TextTransformer(**SMALL, depth=1, token_embed_dim=dims).eval()
    assert encoder.token_embedding.shape == (50, dims or 16)
    assert encoder(torch.randint(50, (2, 7))).shape == (2, 7, 16)
    assert ('projection.weight' in encoder.state_dict()) is (dims == 5)


def test_a_bag_of_mapped_embeddings():
    """Depth 0: norm(W e + b), e = token + position after a LayerNorm."""
    encoder = TextTransformer(**SMALL, depth=0, token_embed_dim=5).eval()
    token_ids = torch.tensor([[3, 49]])
    e = encoder.words.words.weight[token_ids[0]] + encoder.words.positions.weight[:2]
    e = torch.nn.functional.layer_norm(e, (5,), eps=1e-12)
    mapped = e @ encoder.projection.weight.T + encoder.projection.bias
    expected = torch.nn.functional.layer_norm(mapped, (16,), eps=1e-6)
    torch.testing.assert_close(encoder(token_ids)[0], expected)
