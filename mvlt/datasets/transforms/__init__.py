from .caption import AugmentCaption
from .cropping import CenterCropRatio, CropToForeground, ResizeShortEdge
from .formatting import PackPairInputs
from .loading import LoadImage
from .masking import (
    CentreMask,
    GridMask,
    ImageMask,
    RandomGridMask,
    RandomSquareMask,
    StrokeMask,
    UnitMask,
    UnitStrokeMask,
)
from .text import MaskWords, Tokenize

__all__ = [
    'AugmentCaption',
    'CenterCropRatio',
    'CentreMask',
    'CropToForeground',
    'GridMask',
    'ImageMask',
    'LoadImage',
    'MaskWords',
    'PackPairInputs',
    'RandomGridMask',
    'RandomSquareMask',
    'ResizeShortEdge',
    'StrokeMask',
    'Tokenize',
    'UnitMask',
    'UnitStrokeMask',
]
