"""Towers on a catalogue: the contrast and hidden words.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/itc_mlm.py --data-root DATA
"""

from mmengine.config import read_base

from mvlt.datasets import MaskWords
from mvlt.models import MLMHead

with read_base():
    from ...towers_catalogue import *

model.heads.labels = None
model.heads.prompts = None
model.heads.mlm = dict(type=MLMHead, interval=4, on='all', loss_weight=0.5)
train_dataloader.dataset.pipeline.words = dict(type=MaskWords, ratio=0.3, **vocabulary)
find_unused_parameters = True
