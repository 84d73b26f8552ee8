from .light_decoder import LightDecoder
from .partial_decoder import PartialDecoder
from .unet import UNet

__all__ = ['LightDecoder', 'PartialDecoder', 'UNet']
