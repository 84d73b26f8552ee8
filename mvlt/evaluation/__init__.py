from .language import MLMMetric
from .recognition import CategoryMetric
from .reconstruction import ReconstructionMetric
from .retrieval import RetrievalMetric

__all__ = ['CategoryMetric', 'MLMMetric', 'ReconstructionMetric', 'RetrievalMetric']
