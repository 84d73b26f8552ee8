"""Towers on a catalogue: the contrast, hidden words and matching from hard pairs.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/itc_mlm_itm.py --data-root DATA
"""

from mmengine.config import read_base

from mvlt.models import HardITMHead

with read_base():
    from .itc_mlm import *

model.heads.itm = dict(type=HardITMHead, interval=4, hidden_dims=128, negatives=1, easy_steps=4000)
