from .language import MLMMetric
from .recognition import CategoryMetric
from .reconstruction import ReconstructionMetric
from .retrieval import PrecisionMetric, RetrievalMetric, SharedTitleMetric

__all__ = [
    'CategoryMetric',
    'MLMMetric',
    'PrecisionMetric',
    'ReconstructionMetric',
    'RetrievalMetric',
    'SharedTitleMetric',
]
