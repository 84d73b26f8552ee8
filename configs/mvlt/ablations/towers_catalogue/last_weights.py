"""Towers on a catalogue: the last weights in the place of their moving average.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/last_weights.py --data-root DATA
"""

from mmengine.config import read_base

with read_base():
    from ...towers_catalogue import *

default_hooks.average = None
