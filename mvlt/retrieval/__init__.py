from .encoder import Encoder
from .ranking import Ranking, Rerank, rank, rerank_candidates
from .scorer import PairScorer

__all__ = ['Encoder', 'PairScorer', 'Ranking', 'Rerank', 'rank', 'rerank_candidates']
