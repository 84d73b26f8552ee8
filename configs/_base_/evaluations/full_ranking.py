"""TIR and ITR, the full protocol: every picture for every caption, and the other way round."""

from mvlt.engine import FullRankingLoop
from mvlt.evaluation import RetrievalMetric
from mvlt.retrieval import Encoder, PairScorer

test_heads = ('itc', 'itm')  # which of a model a protocol tests
test_cfg = dict(
    type=FullRankingLoop,
    rerank='itm',  # None: by embeddings alone; 'sum': by both
    rerank_topk=None,  # K: only the K most similar (tools/test.py --rerank-topk)
    encoder=dict(type=Encoder),
    scorer=dict(type=PairScorer),
    batch_size=256,
)
test_evaluator = dict(type=RetrievalMetric, topk=(1, 5, 10))
