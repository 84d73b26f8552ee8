"""Towers on a catalogue: two thirds of the width.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/narrow.py --data-root DATA
"""

from mmengine.config import read_base

with read_base():
    from ...towers_catalogue import *

model.backbone.embed_dims = (32, 48, 96, 128)
model.backbone.num_heads = (1, 2, 3, 4)
