"""Inferencers and search for programs and notebooks; each name is imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mvlt.retrieval.search import Search

    from .category import CategoryInferencer
    from .completion import ImageCompletionInferencer
    from .features import FeatureExtractor
    from .matching import MatchingInferencer
    from .retrieval import ImageToTextRetrievalInferencer, TextToImageRetrievalInferencer

_MODULES = dict(
    CategoryInferencer='mvlt.apis.category',
    FeatureExtractor='mvlt.apis.features',
    ImageCompletionInferencer='mvlt.apis.completion',
    ImageToTextRetrievalInferencer='mvlt.apis.retrieval',
    MatchingInferencer='mvlt.apis.matching',
    Search='mvlt.retrieval.search',
    TextToImageRetrievalInferencer='mvlt.apis.retrieval',
)

__all__ = [
    'CategoryInferencer',
    'FeatureExtractor',
    'ImageCompletionInferencer',
    'ImageToTextRetrievalInferencer',
    'MatchingInferencer',
    'Search',
    'TextToImageRetrievalInferencer',
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__} has no {name}')
    return getattr(import_module(_MODULES[name]), name)
