"""Towers on a catalogue: titles alone, no word dropped, no other wording.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/one_wording.py --data-root DATA
"""

from mmengine.config import read_base

with read_base():
    from ...towers_catalogue import *

train_dataloader.dataset.pipeline.reword = None
