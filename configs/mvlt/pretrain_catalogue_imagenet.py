"""The paper's pre-training on a catalogue, on ImageNet weights: its Table 4 on products.

pretrain_catalogue.py with the stages of a frozen EfficientNet-Lite0 as the visual side.
Command: tools/train.py configs/mvlt/pretrain_catalogue_imagenet.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.models.lite0 import *
    from .pretrain_catalogue import *

model.data_preprocessor = lite0_preprocessor
model.backbone = dict(lite0_joint, vocab_size=vocab_size)
