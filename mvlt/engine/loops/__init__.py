from .attribute_queries import AttributeQueryLoop
from .full import FullRankingLoop
from .lists import RetrievalLoop
from .streams import StreamRankingLoop
from .train import EpochTrainLoop, IterTrainLoop

__all__ = [
    'AttributeQueryLoop',
    'EpochTrainLoop',
    'FullRankingLoop',
    'IterTrainLoop',
    'RetrievalLoop',
    'StreamRankingLoop',
]
