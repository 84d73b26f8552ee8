"""TIR and ITR, 101 protocol: the positive and 100 others of its sub-category (Sec. 3.3)."""

from mvlt.engine import RetrievalLoop
from mvlt.evaluation import RetrievalMetric
from mvlt.retrieval import Encoder, PairScorer

test_heads = ('itc', 'itm')  # the heads that a protocol tests
test_cfg = dict(
    type=RetrievalLoop,
    directions=('tir', 'itr'),
    num_queries=1000,
    num_candidates=101,
    seed=0,
    draws=1,
    candidates=None,  # or a file of tools/dataset_converters/make_candidates.py
    rerank='itm',  # None: by embeddings alone; 'sum': by both
    rerank_topk=None,  # K: rerank the K most similar
    encoder=dict(type=Encoder),
    scorer=dict(type=PairScorer),
    batch_size=256,
    analysis=False,  # True: intervals, new captions, gallery sizes, NDCG, hubness, typos
)
test_evaluator = dict(type=RetrievalMetric, topk=(1, 5, 10))
