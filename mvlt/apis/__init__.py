"""What a program, a notebook and the web page call. Each name is imported when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .category import CategoryInferencer
    from .completion import ImageCompletionInferencer
    from .features import FeatureExtractor
    from .image_to_text import ImageToTextRetrievalInferencer
    from .matching import MatchingInferencer
    from .search import ProductSearch
    from .text_to_image import TextToImageRetrievalInferencer

_MODULES = dict(
    CategoryInferencer='category',
    FeatureExtractor='features',
    ImageCompletionInferencer='completion',
    ImageToTextRetrievalInferencer='image_to_text',
    MatchingInferencer='matching',
    ProductSearch='search',
    TextToImageRetrievalInferencer='text_to_image',
)

__all__ = [
    'CategoryInferencer',
    'FeatureExtractor',
    'ImageCompletionInferencer',
    'ImageToTextRetrievalInferencer',
    'MatchingInferencer',
    'ProductSearch',
    'TextToImageRetrievalInferencer',
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__} has no {name}')
    return getattr(import_module(f'{__name__}.{_MODULES[name]}'), name)
