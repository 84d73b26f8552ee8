"""Layers that the heads share."""

from torch import nn


def linear(in_dims: int, dims: int) -> nn.Linear:
    """A fully connected layer, started as in BERT: truncated normal of 0.02, bias 0."""
    layer = nn.Linear(in_dims, dims)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


def projection(in_dims: int, dims: int) -> nn.Sequential:
    """Linear and LayerNorm, (..., in_dims) -> (..., dims): every head of the released code."""
    return nn.Sequential(linear(in_dims, dims), nn.LayerNorm(dims))
