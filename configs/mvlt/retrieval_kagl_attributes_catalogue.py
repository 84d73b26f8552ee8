"""Marqo's KAGL protocol, attribute to product: class against 0.9 image + 0.1 title, P@k.

Command:
tools/test.py configs/mvlt/retrieval_kagl_attributes_catalogue.py MY_MODEL --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: not measured. P@1 of sub-category 66.7, of colour 41.4 and 48.3 (two
seeds, docs/results/2026-11-25-towers.md).
"""

from mmengine.config import read_base

with read_base():
    from .retrieval_attribute_queries_catalogue import *

test_dataloader.dataset.attributes = dict(
    colour='baseColour', gender='gender', season='season', usage='usage'
)
test_cfg.phrases = dict(
    sub_category='{sub_category}', colour='{colour}', season='{season}', usage='{usage}'
)
test_cfg.prompts = None
test_cfg.fewest = 1
test_cfg.text_weight = 0.1
