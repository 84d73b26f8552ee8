"""Validation: text to image on a seeded part of the val split, in lists of 51.

Training keeps the checkpoint with the best R@10 beside the newest. To switch validation off:
--cfg-options val_cfg=None. To stop a training that no longer improves, add mmengine's hook:
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
    fewer=True,  # shorter lists in a small catalogue
    seed=0,
    rerank='itm',
    rerank_topk=None,
    encoder=dict(type=Encoder),
    scorer=dict(type=PairScorer),
    batch_size=256,
)
val_evaluator = dict(type=RetrievalMetric, topk=(1, 5, 10))
