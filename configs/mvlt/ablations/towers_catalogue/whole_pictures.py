"""Towers on a catalogue: pictures whole, mirrored but not cropped.

Command: tools/train.py configs/mvlt/ablations/towers_catalogue/whole_pictures.py --data-root DATA
"""

from mmengine.config import read_base

with read_base():
    from ...towers_catalogue import *

train_dataloader.dataset.pipeline.crop = None
