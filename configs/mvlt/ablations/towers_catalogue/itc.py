"""Towers on a catalogue: the contrast alone, no categories and attributes, no names of them.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/itc.py --data-root DATA
"""

from mmengine.config import read_base

with read_base():
    from ...towers_catalogue import *

model.heads.labels = None
model.heads.prompts = None
