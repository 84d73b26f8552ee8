from .full import FullRankingLoop
from .lists import RetrievalLoop
from .phrases import PhraseLoop
from .streams import StreamRankingLoop
from .train import EpochTrainLoop, IterTrainLoop

__all__ = [
    'EpochTrainLoop',
    'FullRankingLoop',
    'IterTrainLoop',
    'PhraseLoop',
    'RetrievalLoop',
    'StreamRankingLoop',
]
