"""Accuracy of categories and attributes that a model reads from the image alone.

A protocol for models whose head `labels` learns them, e.g. dual_encoder_catalogue.py and
quick_start_catalogue.py. Set the table's columns in `attributes`.
Command: tools/test.py configs/mvlt/recognition_attributes_catalogue.py MODEL \
    --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: a minute. Metrics:
docs/results/2026-11-30-a-start-that-has-seen-images.md.
"""

from mmengine.config import read_base

from mvlt.evaluation import CategoryMetric

with read_base():
    from .recognition_eval_catalogue import *

test_heads = ('main_category', 'sub_category', 'colour', 'gender', 'season', 'usage')
test_dataloader.dataset.attributes = dict(
    colour='baseColour', gender='gender', season='season', usage='usage'
)
test_evaluator = [dict(type=CategoryMetric, category=name) for name in test_heads]
