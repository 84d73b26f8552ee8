"""The 101 protocol on a catalogue, with a metric of your own beside R@k.

Command: tools/test.py projects/example_metric/retrieval_gain.py CHECKPOINT --data-root MY_CATALOGUE
Hardware: one CPU core. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.evaluation import RetrievalMetric
from projects.example_metric.gain_metric import GainMetric

with read_base():
    from mvlt.configs.mvlt.retrieval_catalogue import *

test_evaluator = [dict(type=RetrievalMetric, topk=(1, 5, 10)), dict(type=GainMetric)]
