"""Towers on a catalogue: a queue of 1,024 vectors of a momentum copy; pictures are not mixed.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/queue.py --data-root DATA
"""

from mmengine.config import read_base

from mvlt.engine import MomentumHook

with read_base():
    from ...towers_catalogue import *

model.data_preprocessor.mix = 0.0
model.heads.itc.queue = 1024
default_hooks.momentum = dict(type=MomentumHook)
