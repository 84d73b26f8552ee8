"""Towers on a catalogue: the sigmoid form of the contrast.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/sigmoid.py --data-root DATA
"""

from mmengine.config import read_base

with read_base():
    from ...towers_catalogue import *

model.heads.itc.form = 'sigmoid'
