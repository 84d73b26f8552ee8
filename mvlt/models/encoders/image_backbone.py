"""Image backbones of mmpretrain and timm, pretrained and wholly or partly frozen.

Legend: B batch, H, W image sides, C_i channels and h_i, w_i sides of the map of stage i.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule, initialize
from torch.nn.modules.batchnorm import _NormBase

from mvlt.registry import MODELS

_PIXELS = 16 * 224 * 224  # of a block: twice as fast as 64 images


@MODELS.register_module()
class ImageBackbone(BaseModule):
    """A pretrained image backbone; parts of it are trained, BatchNorm never is.

    Args:
        backbone: settings, e.g. dict(type='mmpretrain.ResNet', depth=50, out_indices=(0, 1, 2, 3))
            or dict(type='mmpretrain.TIMMBackbone', model_name='tf_efficientnet_lite0',
            features_only=True, out_indices=(1, 2, 3, 4)). It returns a map (B, C, h, w),
            tokens (B, N, C), a vector (B, C), or a sequence of them.
        trainable: True = all of it, False = none, or prefixes of parameter names, e.g.
            ('timm_model.blocks.6',).
        pooled: return statistics of all maps as one vector.
        statistics: of each channel of a map: 'mean', 'std', 'max', and 'centre', the mean
            without a quarter of the rows and columns at each border, rounded down: all of a map up
            to 3 x 3.
        image_size: side of the images in pixels.
        init_cfg: the pretrained weights,
            dict(type=:class:`mvlt.checkpoints.PretrainedBackbone`, checkpoint=...).

    Attributes:
        embed_dims: C_i of the maps, or ``vector_dims`` if ``pooled``.
        vector_dims: size of the vector of :meth:`pool`, the sum of C_i for each statistic.
        strides: image pixels along a cell of each map.

    Raises:
        ImportError: timm is not installed.
        ValueError: a prefix that no parameter has, an unknown statistic.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        trainable: bool | Sequence[str] = False,
        pooled: bool = False,
        statistics: Sequence[str] = ('mean',),
        image_size: int = 224,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        logger = MMLogger.get_current_instance()
        level, _ = logger.level, logger.setLevel('WARNING')  # TIMMBackbone lists its stages
        try:
            self.backbone: Any = MODELS.build(dict(backbone))
        except ImportError as error:
            raise ImportError(
                f'image_encoder: {backbone["type"]} needs a package: pip install '
                f"'mvlt[pretrained]' ({error}). Recipes named ..._scratch start at random"
            ) from error
        finally:
            logger.setLevel(level)
        self.backbone = self.backbone.to(memory_format=torch.channels_last)
        if not statistics or {*statistics} - {*_STATISTICS}:
            raise ValueError(f'image_encoder.statistics={statistics}; legal: {[*_STATISTICS]}')
        self.pooled = pooled
        self.statistics = tuple(statistics)
        self.trainable = trainable
        self._freeze()
        self.eval()
        with torch.no_grad():
            maps = self._maps(next(self.backbone.parameters()).new_zeros(1, 3, *2 * (image_size,)))
        channels = [values.shape[1] for values in maps]
        self.vector_dims = sum(channels) * len(self.statistics)
        self.embed_dims: tuple[int, ...] = (self.vector_dims,) if pooled else tuple(channels)
        self.strides = tuple(image_size // values.shape[-1] for values in maps)
        self.train()

    @property
    def is_frozen(self) -> bool:
        """Whether no weight of it is trained, so that its outputs can be cached."""
        return not any(weight.requires_grad for weight in self.backbone.parameters())

    def forward(self, image: torch.Tensor) -> Any:
        """(B, 3, H, W) -> maps (B, C_i, h_i, w_i), or float32 (B, vector_dims) if ``pooled``."""
        maps = self._by_blocks(image) if self.is_frozen else self._maps(image)
        return self.pool(maps) if self.pooled else maps

    def pool(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps (B, C_i, h_i, w_i) -> float32 (B, vector_dims), the statistics of each channel."""
        values = [_STATISTICS[name](of.float()) for name in self.statistics for of in maps]
        return torch.cat(values, dim=1)

    def _by_blocks(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The maps without gradients; on a CPU in blocks whose activations stay in the cache.

        Not in a compiled or exported graph, which must not depend on the number of images.
        """
        block = max(1, _PIXELS // image[0, 0].numel())
        if image.device.type != 'cpu' or torch.compiler.is_compiling() or len(image) <= block:
            return self._maps(image)
        with torch.no_grad():
            return tuple(map(torch.cat, zip(*map(self._maps, image.split(block)))))

    def _maps(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = self.backbone(image.contiguous(memory_format=torch.channels_last))
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        return tuple(map(as_map, outputs))

    def init_weights(self) -> None:
        """Load the pretrained weights, after the initialization of the backbone's own class."""
        pretrained: Any = self.init_cfg
        self.init_cfg: Any = None
        super().init_weights()
        self.init_cfg = pretrained
        if pretrained:
            initialize(self.backbone, pretrained)

    def train(self, mode: bool = True) -> 'ImageBackbone':
        """Training mode of the trained parts; BatchNorm keeps its statistics."""
        super().train(mode)
        if self.is_frozen:
            self.backbone.eval()
        for module in self.backbone.modules():
            if isinstance(module, _NormBase):
                module.eval()
        return self

    def _freeze(self) -> None:
        names = [name for name, _ in self.backbone.named_parameters()]
        if isinstance(self.trainable, bool):
            prefixes: tuple[str, ...] = ('',) if self.trainable else ()
        else:
            prefixes = tuple(self.trainable)
        for prefix in prefixes:
            if not any(name.startswith(prefix) for name in names):
                parts = dict.fromkeys('.'.join(name.split('.')[:3]) for name in names)
                raise ValueError(
                    f"image_encoder.trainable: no parameter begins with '{prefix}'; legal are e.g. "
                    f'{", ".join(list(parts)[-8:])}'
                )
        normed = {
            id(weight)
            for module in self.backbone.modules()
            if isinstance(module, _NormBase)
            for weight in module.parameters(recurse=False)
        }
        for name, weight in self.backbone.named_parameters():
            weight.requires_grad_(name.startswith(prefixes) and id(weight) not in normed)


def _mean(maps: torch.Tensor) -> torch.Tensor:
    return maps.flatten(2).mean(2)


def _std(maps: torch.Tensor) -> torch.Tensor:
    # the gradient of a constant map's root would be no number
    return (maps.flatten(2).var(2, correction=0) + 1e-6).sqrt()


def _max(maps: torch.Tensor) -> torch.Tensor:
    return maps.flatten(2).amax(2)


def _centre(maps: torch.Tensor) -> torch.Tensor:
    top, left = maps.shape[2] // 4, maps.shape[3] // 4
    return _mean(maps[:, :, top : maps.shape[2] - top, left : maps.shape[3] - left])


_STATISTICS = dict(mean=_mean, std=_std, max=_max, centre=_centre)


def as_map(values: torch.Tensor) -> torch.Tensor:
    """A map (B, C, h, w); N x 1 of tokens (B, N, C), 1 x 1 of a vector (B, C)."""
    if values.ndim == 3:
        values = values.transpose(1, 2)
    while values.ndim < 4:
        values = values[..., None]
    return values
