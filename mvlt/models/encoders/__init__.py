from .backbone_vl import BackboneVL
from .dual import DualEncoder
from .from_open_clip import OpenCLIPImageEncoder, OpenCLIPTextEncoder
from .from_transformers import TransformersImageEncoder, TransformersTextEncoder
from .image_backbone import ImageBackbone
from .joint import JointEncoder, PairFeatures
from .pvt_v2_vl import PVTV2VL
from .pvt_vl import PVTVL
from .text_transformer import TextTransformer
from .vit_vl import ViTVL

__all__ = [
    'PVTV2VL',
    'PVTVL',
    'BackboneVL',
    'DualEncoder',
    'ImageBackbone',
    'JointEncoder',
    'OpenCLIPImageEncoder',
    'OpenCLIPTextEncoder',
    'PairFeatures',
    'TextTransformer',
    'TransformersImageEncoder',
    'TransformersTextEncoder',
    'ViTVL',
]
