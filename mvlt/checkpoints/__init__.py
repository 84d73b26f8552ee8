from .image_part import PretrainedImagePart
from .loading import get_model, list_models, load_model, open_model, read_trained
from .pretrained_backbone import PretrainedBackbone

__all__ = [
    'PretrainedBackbone',
    'PretrainedImagePart',
    'get_model',
    'list_models',
    'load_model',
    'open_model',
    'read_trained',
]
