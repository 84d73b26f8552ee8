"""mvlt_towers_mini.py, narrower: what the demo's drawn products ask for, in minutes."""

from mmengine.config import read_base

with read_base():
    from .mvlt_towers_mini import *

model.backbone.embed_dims = (32, 48, 96, 128)
model.backbone.num_heads = (1, 2, 3, 4)
