from .image_part import PretrainedImagePart
from .opening import get_model, list_models, load_model, open_model, read_trained

__all__ = [
    'PretrainedImagePart',
    'get_model',
    'list_models',
    'load_model',
    'open_model',
    'read_trained',
]
