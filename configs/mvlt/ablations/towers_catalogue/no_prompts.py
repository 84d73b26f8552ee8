"""Towers on a catalogue: pictures are not compared with the names of their classes.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/no_prompts.py --data-root DATA
"""

from mmengine.config import read_base

with read_base():
    from ...towers_catalogue import *

model.heads.prompts = None
