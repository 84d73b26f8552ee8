"""Initialize a backbone's image part from ImageNet weights."""

from mmengine.logging import print_log
from torch import nn

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.checkpoints.state_dict import compare
from mvlt.registry import WEIGHT_INITIALIZERS


@WEIGHT_INITIALIZERS.register_module()
class PretrainedImagePart:
    """Load the image part of a backbone; text layers keep their random weights.

    ``backbone.init_cfg=dict(type=PretrainedImagePart, checkpoint='pvt_tiny.safetensors')``, a file
    of ``tools/model_converters/to_mvlt.py`` (``pvt``, ``pvt_v2`` or ``vit``). Positions are resized
    to the image in use.

    Args:
        checkpoint: a file with this project's names, with or without the prefix ``backbone.``.
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Load into a backbone and log the loaded, resized and random tensors.

        Raises:
            FileNotFoundError, ValueError: no such file; a tensor of the image part is missing, has
                another shape or is unknown.
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
        fit = compare(module.state_dict(), stored)
        random = {key for key in fit.missing if key.startswith('words.') or '.text.' in key}
        fit._replace(missing=[key for key in fit.missing if key not in random]).require(
            self.checkpoint,
            extra=False,
            advice='convert a model of the same size (backbone.arch)',
        )
        module.load_state_dict(stored, strict=False)
        print_log(
            f'{self.checkpoint}: {len(fit.loaded)} tensors loaded into the backbone, '
            f'{len(fit.resized)} of them resized; {len(random)} tensors of the text part stay '
            'random',
            logger='current',
        )
