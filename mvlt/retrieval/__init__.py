from .encoder import WordEncoder
from .ranking import Order, Ranking, rank, shortlisted
from .scorer import PairScorer

__all__ = ['Order', 'PairScorer', 'Ranking', 'WordEncoder', 'rank', 'shortlisted']
