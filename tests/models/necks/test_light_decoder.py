"""Contract: one map at 1/s is enough to reconstruct the whole image."""

import pytest
import torch

from mvlt.models import LightDecoder, MIRHead, ViTVL
from tests.models.heads.stand_ins import loss_of

SIZES = dict(
    context_length=12, vocab_size=50, token_embed_dim=16, embed_dims=(24,), depth=1, num_heads=3
)


@pytest.mark.parametrize('patch', [16, 32])
def test_reconstruction_from_a_single_scale(patch):
    backbone = ViTVL(image_size=64, patch_size=patch, **SIZES)
    neck = LightDecoder(backbone.embed_dims, backbone.strides, channels=8)
    head = MIRHead(neck.out_channels, neck.stride, loss_weight=1.0)
    image = torch.rand(2, 3, 64, 96)
    decoded = neck(backbone.encode_pair(image, torch.randint(5, 50, (2, 9))).images)
    assert decoded.shape == (2, 8, 64 // patch, 96 // patch)
    loss_of(head, decoded=decoded, target=image, mask=None).backward()
    parts = (*neck.parameters(), *backbone.stages[0].patches.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parts)


def test_only_the_last_map_is_read():
    neck = LightDecoder((4, 8), (4, 8)).eval()
    assert neck.out_channels == 8 and neck.stride == 8
    maps = [torch.randn(1, 4, 8, 8), torch.randn(1, 8, 4, 4)]
    assert torch.equal(neck(maps), neck([torch.zeros(1, 4, 8, 8), maps[1]]))
