"""TIR and ITR, the full protocol: every picture for every caption, and the other way round."""

from mvlt.engine import FullRankingLoop
from mvlt.evaluation import RetrievalMetric

test_cfg = dict(
    type=FullRankingLoop,
    rerank=None,  # K: exact scores only for the K best of a cheap scorer (tools/test.py --rerank)
    batch_size=256,
)
test_evaluator = dict(type=RetrievalMetric, topk=(1, 5, 10))
