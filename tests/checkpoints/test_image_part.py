"""Contract: the image part is loaded whole or refused; `load_from` and `init_cfg` read safely."""

import pytest
import torch
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file

import mvlt.engine  # noqa: F401
from mvlt.checkpoints.checkpoint import use_safe_files
from mvlt.models import PVTVL

SIZES = dict(
    context_length=8,
    vocab_size=20,
    embed_dims=(8, 16, 24, 32),
    num_heads=(1, 2, 3, 4),
    depths=(1, 1, 1, 1),
    token_embed_dim=16,
)


def _image_part(model):
    return {
        f'backbone.{key}': value
        for key, value in model.state_dict().items()
        if not key.startswith('words.') and '.text.' not in key
    }


def _target(path, **sizes):
    start = dict(type='mvlt.PretrainedImagePart', checkpoint=str(path))
    return PVTVL(**{**SIZES, 'image_size': 64, 'init_cfg': start, **sizes})


def test_image_part_is_loaded_and_resized(tmp_path):
    source = PVTVL(image_size=32, **SIZES)
    save_file(_image_part(source), tmp_path / 'pvt.safetensors')
    target = _target(tmp_path / 'pvt.safetensors')
    tokens = target.words.words.weight.clone()
    target.init_weights()
    assert torch.equal(target.words.words.weight, tokens)
    for name in ('patches.projection.weight', 'layers.0.attention.query.weight'):
        key = f'stages.2.{name}'
        assert torch.equal(target.state_dict()[key], source.state_dict()[key])
    assert target.stages[0].patches.positions.grid.shape == (1, 8, 16, 16)  # from 8 x 8


@pytest.mark.parametrize(
    ('change', 'sizes', 'message'),
    [
        (lambda state: state.pop('backbone.stages.1.patches.norm.bias'), {}, 'lacks stages.1.pat'),
        (lambda state: state.update({'backbone.lora_A': torch.zeros(1)}), {}, 'lacks: lora_A'),
        (lambda state: None, dict(depths=(1, 1, 2, 1)), r'lacks stages.2.layers.1.* and 15 more'),
        (
            lambda state: None,
            dict(embed_dims=(8, 16, 24, 40)),
            r'stages.3.* is \(64,\), the model.* \(backbone.arch\)',
        ),
    ],
)
def test_a_wrong_image_part_is_refused(tmp_path, change, sizes, message):
    state = _image_part(PVTVL(image_size=32, **SIZES))
    change(state)
    save_file(state, tmp_path / 'pvt.safetensors')
    with pytest.raises(ValueError, match=message):
        _target(tmp_path / 'pvt.safetensors', **sizes).init_weights()


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='start at random with'):
        _target(tmp_path / 'none.safetensors').init_weights()


def test_mmengine_reads_local_files_through_the_safe_function(tmp_path):
    use_safe_files()
    save_file({'a': torch.ones(2)}, tmp_path / 'a.safetensors')
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.safetensors'))
    assert torch.equal(loaded['state_dict']['a'], torch.ones(2))
    torch.save({'state_dict': print}, tmp_path / 'bad.pth')
    with pytest.raises(ValueError, match='refused'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'bad.pth'))
    (tmp_path / 'cut.safetensors').write_bytes(b'1234567')
    with pytest.raises(ValueError, match='not a readable checkpoint'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'cut.safetensors'))
