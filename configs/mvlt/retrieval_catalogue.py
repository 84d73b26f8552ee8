"""TIR and ITR on a catalogue, 101 protocol, zero-shot after pre-training.

Command: tools/test.py configs/mvlt/retrieval_catalogue.py CHECKPOINT --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: 2 minutes by the matching head. Metrics: docs/zoo.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.retrieval import *
