"""C2 of Table 3 on a catalogue: free-form strokes of pixels.

Command: tools/train.py configs/mvlt/ablations/catalogue/c2_stroke.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.datasets import StrokeMask

with read_base():
    from ...pretrain_catalogue import *

train_dataloader.dataset.dataset.pipeline.mask.type = StrokeMask
