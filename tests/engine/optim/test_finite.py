"""Contract: a loss that is not finite changes no weight, whatever wrapper updates them."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mvlt.engine import AsyncOptimWrapper, BFloat16OptimWrapper
from mvlt.engine.optim import FiniteOptimWrapper


def _wrapped(kind=OptimWrapper, later=None, counts=1, fused=True):
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, fused=fused)
    return model, FiniteOptimWrapper(kind(optimizer, counts), model, later)


@pytest.mark.parametrize('kind', [OptimWrapper, AsyncOptimWrapper, BFloat16OptimWrapper])
@pytest.mark.parametrize('later', [False, True])
def test_only_finite_losses_train(kind, later):
    model, wrapper = _wrapped(kind, later)
    for factor, weight in ((float('nan'), 1.0), (1.0, 0.5), (float('inf'), 0.5), (1.0, 0.0)):
        wrapper.update_params(model.weight.sum() * factor)
        assert float(model.weight.detach()) == weight
        assert bool(wrapper.finite) == (factor == 1.0)
        assert wrapper.skipped == (factor != 1.0 and not later)


def test_a_step_left_out_is_not_counted_and_the_rest_is_the_wrappers():
    model, wrapper = _wrapped(counts=2, fused=False)
    wrapper.update_params(model.weight.sum() * float('nan'))
    assert wrapper.inner_count == 0 and model.weight.grad is None
    wrapper.update_params(model.weight.sum())
    assert wrapper.inner_count == 1 and not wrapper.later


@pytest.mark.parametrize('settings', [dict(fused=False), dict(counts=2)])
def test_later_needs_an_optimizer_that_leaves_a_step_out(settings):
    with pytest.raises(ValueError, match='async_metrics needs .*fused=True.*accumulative_counts=1'):
        _wrapped(later=True, **settings)
