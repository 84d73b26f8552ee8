"""Queries of two and three words on one's own catalogue, counted by the table's own columns.

A kind, colour and kind, gender and kind; beside them the classes that prompts name (zero-shot).
Command: tools/test.py configs/mvlt/retrieval_attribute_queries_catalogue.py MY_MODEL --data-root
    MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.attribute_queries import *

test_dataloader.dataset.attributes = dict(colour='baseColour', gender='gender')
