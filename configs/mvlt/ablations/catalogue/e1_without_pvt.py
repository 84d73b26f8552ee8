"""E1 of Table 3 on a catalogue: PVT-VL Tiny from a random start; beside it e1_with_pvt.py.

The catalogue's own small model always starts at random, since no ImageNet weights have its sizes.

Command: tools/train.py configs/mvlt/ablations/catalogue/e1_without_pvt.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.models import PVTVL

with read_base():
    from ...pretrain_catalogue import *

model.backbone = dict(
    type=PVTVL,
    image_size=image_size,
    text_len=64,
    vocab_size=vocab_size,
    drop_path_rate=0.1,
)
model.neck.channels = None
