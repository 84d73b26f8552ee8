from .full import FullRankingLoop
from .lists import RetrievalLoop
from .train import EpochTrainLoop, IterTrainLoop

__all__ = ['EpochTrainLoop', 'FullRankingLoop', 'IterTrainLoop', 'RetrievalLoop']
