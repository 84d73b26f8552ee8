"""TIR and ITR, the full protocol: every picture for every caption, and the other way round."""

from mvlt.engine import FullRankingLoop
from mvlt.evaluation import RetrievalMetric
from mvlt.retrieval import PairScorer

test_heads = ('itc', 'itm', 'mlm')  # which of a model a protocol tests
test_cfg = dict(
    type=FullRankingLoop,
    order='matching',  # 'both' is what search shows, 'vectors' the encoder alone
    shortlist=None,  # K: exact scores only for the encoder's K best (tools/test.py --shortlist)
    encoder=dict(type=None),  # the one that the model has
    scorer=dict(type=PairScorer),
    batch_size=256,
)
test_evaluator = dict(type=RetrievalMetric, topk=(1, 5, 10))
