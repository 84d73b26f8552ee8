"""Starts a backbone from an ImageNet model that has seen no words."""

from mmengine.logging import print_log
from torch import nn

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.checkpoints.state_dict import compare
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
        fit = compare(own, stored)
        left = [key for key in fit.missing if _reads_words(key)]
        fit._replace(missing=[key for key in fit.missing if key not in set(left)]).require(
            self.checkpoint,
            extra=False,
            advice='was it converted from a model of the same size (backbone.arch)?',
        )
        module.load_state_dict(stored, strict=False)
        print_log(
            f'{self.checkpoint}: {len(fit.loaded)} tensors loaded into the backbone, '
            f'{len(fit.resized)} of them resized; {len(left)} of words and text left at random',
            logger='current',
        )


def _reads_words(key: str) -> bool:
    return key.startswith('words.') or '.text.' in key
