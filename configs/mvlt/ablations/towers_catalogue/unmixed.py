"""Towers on a catalogue: no picture is laid over another.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/unmixed.py --data-root DATA
"""

from mmengine.config import read_base

with read_base():
    from ...towers_catalogue import *

model.data_preprocessor.mix = 0.0
