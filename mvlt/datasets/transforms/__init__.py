from .background import FillBackground, RandomZoomOut
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
    'FillBackground',
    'GridMask',
    'ImageMask',
    'LoadImage',
    'MaskWords',
    'PackPairInputs',
    'RandomGridMask',
    'RandomSquareMask',
    'RandomZoomOut',
    'ResizeShortEdge',
    'StrokeMask',
    'Tokenize',
    'UnitMask',
    'UnitStrokeMask',
]
