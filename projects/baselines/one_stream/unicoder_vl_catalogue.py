"""Unicoder-VL: masked tokens, classes of masked regions, matching.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from .image_bert_catalogue import *

model.heads.region_features = None
