"""Short attribute queries on a catalogue, P@k by the table's columns; zero-shot classes.

The queries: sub-category; colour and sub-category; gender and sub-category. The classes are named
by prompts.
Command: tools/test.py configs/mvlt/retrieval_attribute_queries_catalogue.py MODEL
    --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: not measured. P@10 85.2, 70.6, 75.0; zero-shot accuracy of
sub-category 81.6, colour 61.5, gender 89.2 (docs/results/2026-11-28-towers.md).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.attribute_queries import *

test_dataloader.dataset.attributes = dict(colour='baseColour', gender='gender')
