from .backbones import PVTV2VL, PVTVL, ViTVL
from .data_preprocessor import PairDataPreprocessor
from .heads import CategoryHead, ITMHead, MIRHead, MLMHead, RankingHead
from .mvlt import MVLT
from .necks import LightDecoder, PartialDecoder, UNet

__all__ = [
    'MVLT',
    'PVTV2VL',
    'PVTVL',
    'CategoryHead',
    'ITMHead',
    'LightDecoder',
    'MIRHead',
    'MLMHead',
    'PairDataPreprocessor',
    'PartialDecoder',
    'RankingHead',
    'UNet',
    'ViTVL',
]
