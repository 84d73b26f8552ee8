"""TIR and ITR, full protocol: every image for every caption, and the other way round."""

from mvlt.engine import FullRankingLoop
from mvlt.evaluation import RetrievalMetric
from mvlt.retrieval import Encoder, PairScorer

test_heads = ('itc', 'itm')  # the heads that a protocol tests
test_cfg = dict(
    type=FullRankingLoop,
    rerank='itm',  # None: by embeddings alone; 'sum': by both
    rerank_topk=None,  # K: rerank the K most similar (tools/test.py --rerank-topk)
    encoder=dict(type=Encoder),
    scorer=dict(type=PairScorer),
    batch_size=256,
    analysis=False,  # True: intervals, new captions, gallery sizes, NDCG, hubness, typos
)
test_evaluator = dict(type=RetrievalMetric, topk=(1, 5, 10))
