from .cropping import CropMiddle, CropToProduct
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
from .wording import RewordCaption

__all__ = [
    'CentreMask',
    'CropMiddle',
    'CropToProduct',
    'GridMask',
    'ImageMask',
    'LoadImage',
    'MaskWords',
    'PackPairInputs',
    'RandomGridMask',
    'RandomSquareMask',
    'RewordCaption',
    'StrokeMask',
    'Tokenize',
    'UnitMask',
    'UnitStrokeMask',
]
