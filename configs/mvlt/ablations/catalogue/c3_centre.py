"""C3 of Table 3 on a catalogue: centre masks.

Command: tools/train.py configs/mvlt/ablations/catalogue/c3_centre.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.datasets import CentreMask

with read_base():
    from ...pretrain_catalogue import *

train_dataloader.dataset.dataset.pipeline.mask.type = CentreMask
