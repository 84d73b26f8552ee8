from .base import PairBackbone, PairFeatures
from .pvt_v2_vl import PVTV2VL
from .pvt_vl import PVTVL
from .vit_vl import ViTVL

__all__ = ['PVTV2VL', 'PVTVL', 'PairBackbone', 'PairFeatures', 'ViTVL']
