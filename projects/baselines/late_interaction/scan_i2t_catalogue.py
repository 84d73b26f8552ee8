"""SCAN, image to text: each region attends to the tokens.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from .scan_t2i_catalogue import *

model.heads.itm.direction = 'image_to_text'
model.heads.itm.sharpness = 4.0
