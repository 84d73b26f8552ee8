from .backbones import PVTVL
from .data_preprocessor import PairDataPreprocessor
from .heads import CategoryHead, ITMHead, MIRHead, MLMHead
from .mvlt import MVLT
from .necks import PartialDecoder, UNet

__all__ = [
    'MVLT',
    'PVTVL',
    'CategoryHead',
    'ITMHead',
    'MIRHead',
    'MLMHead',
    'PairDataPreprocessor',
    'PartialDecoder',
    'UNet',
]
