"""Towers on a catalogue: batches that are drawn evenly, without look-alikes.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/even_batches.py --data-root DATA
"""

from mmengine.config import read_base

from mvlt.datasets import EndlessSampler

with read_base():
    from ...towers_catalogue import *

train_dataloader.sampler = dict(type=EndlessSampler, shuffle=True)
