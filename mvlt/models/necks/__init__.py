from .partial_decoder import PartialDecoder
from .unet import UNet

__all__ = ['PartialDecoder', 'UNet']
