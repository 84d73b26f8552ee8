"""Contract: four maps in, one map at 1/4 out, and every stage matters."""

import torch

from mvlt.models import UNet

DIMS = (8, 16, 24, 32)


def test_shape_and_use_of_all_four_stages():
    neck = UNet(in_channels=DIMS)
    maps = [
        torch.randn(2, dims, 16 // 2**i, 8 // 2**i, requires_grad=True)
        for i, dims in enumerate(DIMS)
    ]
    out = neck(maps)
    assert out.shape == (2, neck.out_channels, 16, 8) and neck.out_channels == 8
    assert neck.stride == 4
    out.square().sum().backward()
    assert all(image.grad.abs().sum() > 0 for image in maps)
