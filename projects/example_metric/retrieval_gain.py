"""The 101 protocol on a catalogue with a custom metric beside R@k.

Command: tools/test.py projects/example_metric/retrieval_gain.py CHECKPOINT --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.evaluation import RetrievalMetric
from projects.example_metric.gain_metric import GainMetric

with read_base():
    from mvlt.configs.mvlt.retrieval_catalogue import *

test_evaluator = [dict(type=RetrievalMetric, topk=(1, 5, 10)), dict(type=GainMetric)]
