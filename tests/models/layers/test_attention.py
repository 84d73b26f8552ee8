"""Contract: both kernels compute one function; masked keys have no weight."""

import pytest
import torch

from mvlt.models.layers.attention import attend, attention_weights


@pytest.mark.parametrize('masked', [False, True])
def test_bfloat16_agrees_with_float32(masked):
    queries, keys, values = (torch.randn(2, 3, n, 8) for n in (11, 5, 5))
    mask = None
    if masked:
        mask = torch.ones(2, 1, 1, 5, dtype=torch.bool)
        mask[1, ..., 3:] = False
    exact = attend(queries, keys, values, mask)
    rounded = attend(*(x.bfloat16() for x in (queries, keys, values)), mask)
    assert rounded.dtype is torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, atol=0.05, rtol=0.05)
    if masked:  # values of masked keys do not matter
        keys[1, :, 3:], values[1, :, 3:] = 100, 100
        torch.testing.assert_close(attend(queries, keys, values, mask), exact)
        again = attend(*(x.bfloat16() for x in (queries, keys, values)), mask)
        assert torch.equal(again, rounded)


def test_weights_by_hand():
    # two keys, logits 0 and ln 3 after division by the root of D = 4
    queries = torch.tensor([[[[2.0, 0, 0, 0]]]])
    keys = torch.tensor([[[[0.0, 0, 0, 0], [torch.log(torch.tensor(3.0)), 0, 0, 0]]]])
    weights = attention_weights(queries, keys, None)
    torch.testing.assert_close(weights.flatten(), torch.tensor([0.25, 0.75]))
