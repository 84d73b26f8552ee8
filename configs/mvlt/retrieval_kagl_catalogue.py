"""Marqo's KAGL protocol on a catalogue: a title retrieves its images.

The other half, attribute to product, is retrieval_kagl_attributes_catalogue.py. Fewer candidates
make the task easier: Marqo ranks 44,434, this protocol as many as the split has.
Command: tools/test.py configs/mvlt/retrieval_kagl_catalogue.py MY_MODEL --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: not measured. R@1 34.1, R@10 81.0, MRR 50.0
(docs/results/2026-11-28-towers.md).
"""

from mmengine.config import read_base

from mvlt.evaluation import KAGLMetric

with read_base():
    from .retrieval_full_catalogue import *

test_cfg.rerank = None
test_evaluator = dict(type=KAGLMetric, topk=(1, 10), queries=2000)
