from .analysis import analyse
from .language import MLMMetric
from .recognition import CategoryMetric
from .reconstruction import ReconstructionMetric
from .retrieval import KAGLMetric, PrecisionMetric, RetrievalMetric

__all__ = [
    'CategoryMetric',
    'KAGLMetric',
    'MLMMetric',
    'PrecisionMetric',
    'ReconstructionMetric',
    'RetrievalMetric',
    'analyse',
]
