from .data_preprocessor import PairDataPreprocessor
from .encoders import PVTV2VL, PVTVL, BackboneVL, DualEncoder, ImageBackbone, TextTransformer, ViTVL
from .features import Features
from .heads import (
    BackboneTargets,
    CategoryHead,
    HardITMHead,
    Head,
    HOGTargets,
    ITCHead,
    ITMHead,
    MaskedClusterHead,
    MaskedFeatureHead,
    MIRHead,
    MLMHead,
    PromptHead,
    RankingHead,
)
from .mvlt import MVLT
from .necks import LightDecoder, PartialDecoder, UNet

__all__ = [
    'MVLT',
    'PVTV2VL',
    'PVTVL',
    'BackboneTargets',
    'BackboneVL',
    'CategoryHead',
    'DualEncoder',
    'Features',
    'HOGTargets',
    'HardITMHead',
    'Head',
    'ITCHead',
    'ITMHead',
    'ImageBackbone',
    'LightDecoder',
    'MIRHead',
    'MLMHead',
    'MaskedClusterHead',
    'MaskedFeatureHead',
    'PairDataPreprocessor',
    'PartialDecoder',
    'PromptHead',
    'RankingHead',
    'TextTransformer',
    'UNet',
    'ViTVL',
]
