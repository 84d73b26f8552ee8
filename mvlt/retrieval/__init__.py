from .encoder import TowerEncoder, WordEncoder
from .ranking import Order, Ranking, rank, shortlisted
from .scorer import PairScorer

__all__ = [
    'Order',
    'PairScorer',
    'Ranking',
    'TowerEncoder',
    'WordEncoder',
    'rank',
    'shortlisted',
]
