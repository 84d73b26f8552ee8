"""Towers on a catalogue: half of each batch are products of few kinds.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/look_alikes.py --data-root DATA
"""

from mmengine.config import read_base

from mvlt.datasets import LookAlikeSampler

with read_base():
    from ...towers_catalogue import *

train_dataloader.sampler = dict(type=LookAlikeSampler, batch_size=batch_size, group=16, share=0.5)
