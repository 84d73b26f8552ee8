"""Starts a backbone from an ImageNet model that has seen no words."""

from collections.abc import Iterable

from mmengine.logging import print_log
from torch import nn

from mvlt.engine.checkpoint import read_checkpoint
from mvlt.registry import WEIGHT_INITIALIZERS


@WEIGHT_INITIALIZERS.register_module()
class PretrainedImagePart:
    """Load the image part of a backbone; words and text layers keep their random start.

    ``backbone.init_cfg=dict(type=PretrainedImagePart, checkpoint='pvt_tiny.safetensors')``, the
    file from ``tools/model_converters/to_mvlt.py`` (``pvt``, ``pvt_v2`` or ``vit``). Positions are
    resized to the image in use.

    Args:
        checkpoint: names as in this project, with or without the prefix ``backbone.``.
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Load into ``module``, a backbone, and say what was loaded, resized and left.

        Raises:
            FileNotFoundError, ValueError: no such file, a tensor of the image part is missing or
                has another shape, or the file holds tensors that the backbone lacks.
        """
        try:
            stored = read_checkpoint(self.checkpoint)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{self.checkpoint}: no such file, but backbone.init_cfg starts from it: make it '
                'with tools/model_converters/to_mvlt.py, or start at random with '
                '--cfg-options model.backbone.init_cfg=None'
            ) from error
        stored = {key.removeprefix('backbone.'): value for key, value in stored.items()}
        own = module.state_dict()
        left = {key for key in own if _reads_words(key)} - stored.keys()
        wrong = {
            'lacks': own.keys() - stored.keys() - left,
            'holds what the backbone lacks:': stored.keys() - own.keys(),
            'has other shapes in': {
                key
                for key in own.keys() & stored.keys()
                if own[key].shape != stored[key].shape and not key.endswith('positions.grid')
            },
        }
        for what, keys in wrong.items():
            if keys:
                raise ValueError(
                    f'{self.checkpoint} {what} {_some(keys)}: was it converted from a model of '
                    'the same size (backbone.arch)?'
                )
        resized = {key for key in stored if own[key].shape != stored[key].shape}
        module.load_state_dict(stored, strict=False)
        print_log(
            f'{self.checkpoint}: {len(stored)} tensors loaded into the backbone, {len(resized)} '
            f'of them resized; {len(left)} of words and text left at random',
            logger='current',
        )


def _reads_words(key: str) -> bool:
    return key.startswith('words.') or '.text.' in key


def _some(keys: Iterable[str]) -> str:
    listed = sorted(keys)
    return ', '.join(listed[:3]) + (f' and {len(listed) - 3} more' if len(listed) > 3 else '')
