"""Marqo's KAGL protocol on one's own catalogue: a title's pictures among all.

Its other half, attribute to product, is retrieval_kagl_attributes_catalogue.py. With fewer
candidates the task is easier: 44,434 in Marqo's figures, here as many as the split has.
Command: tools/test.py configs/mvlt/retrieval_kagl_catalogue.py MY_MODEL --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.evaluation import KAGLMetric

with read_base():
    from .retrieval_full_catalogue import *

test_cfg.rerank = None
test_evaluator = dict(type=KAGLMetric, topk=(1, 10), queries=2000)
