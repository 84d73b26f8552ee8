"""What E1 of Table 3 is compared with, on a catalogue: PVT-VL Tiny from ImageNet weights.

Command: tools/train.py configs/mvlt/ablations/catalogue/e1_with_pvt.py --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.checkpoints import PretrainedImagePart

with read_base():
    from .e1_without_pvt import *

model.backbone.init_cfg = dict(
    type=PretrainedImagePart, checkpoint='checkpoints/pvt_tiny.safetensors'
)
