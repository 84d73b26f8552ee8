"""Contract: settings that would read the network are refused; tests/tools compares embeddings."""

import pytest
import torch

pytest.importorskip('open_clip', reason="its models need '.[open_clip]'")

from mvlt.models import OpenCLIPImageEncoder, OpenCLIPTextEncoder


def test_shapes():
    vision = dict(layers=1, width=16, head_width=8, image_size=32, patch_size=8)
    text = dict(layers=1, width=16, heads=2, vocab_size=50, context_length=9)
    assert OpenCLIPImageEncoder(12, vision)(torch.randn(2, 3, 32, 32)).shape == (2, 12)
    encoder = OpenCLIPTextEncoder(12, text)
    assert encoder(torch.ones(2, 9, dtype=torch.int64), None).shape == (2, 12)
    assert encoder.token_embedding.shape == (50, 16) and encoder.context_length == 9


@pytest.mark.parametrize('name', ['hf-hub:timm/x', 'local-dir:/tmp', '/tmp/x'])
def test_no_hub_and_no_path(name):
    with pytest.raises(ValueError, match='timm would read other files'):
        OpenCLIPImageEncoder(12, dict(timm_model_name=name))
    with pytest.raises(ValueError, match='from the hub'):
        OpenCLIPTextEncoder(12, dict(hf_model_name=name))


def test_timm_s_weights_are_not_fetched(monkeypatch):
    import timm

    given = {}
    create = timm.create_model
    monkeypatch.setattr(timm, 'create_model', lambda *a, **k: given.update(k) or create(*a, **k))
    settings = dict(timm_model_name='test_vit', timm_model_pretrained=True, image_size=32)
    OpenCLIPImageEncoder(12, settings)
    assert given['pretrained'] is False
