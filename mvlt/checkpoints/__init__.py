from .image_part import PretrainedImagePart
from .loading import get_model, list_models, load_model, open_model, read_trained

__all__ = [
    'PretrainedImagePart',
    'get_model',
    'list_models',
    'load_model',
    'open_model',
    'read_trained',
]
