"""While training: text to image on a seeded part of the val split, of lists of 51.

The checkpoint that is best by R@10 is kept beside the newest. Without it: --cfg-options
val_cfg=None. A config of one's own ends a training that gets no better with mmengine's hook:
default_hooks.stop = dict(type=EarlyStoppingHook, monitor='retrieval/tir/R@10', rule='greater',
patience=5).
"""

from mvlt.engine import RetrievalLoop
from mvlt.evaluation import RetrievalMetric
from mvlt.retrieval import Encoder, PairScorer

val_cfg = dict(
    type=RetrievalLoop,
    directions=('tir',),
    num_queries=200,
    num_candidates=51,
    fewer=True,  # in a small catalogue
    seed=0,
    rerank='itm',
    rerank_topk=None,
    encoder=dict(type=Encoder),
    scorer=dict(type=PairScorer),
    batch_size=256,
)
val_evaluator = dict(type=RetrievalMetric, topk=(1, 5, 10))
