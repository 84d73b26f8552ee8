"""VL-BERT: the whole picture at each word; hidden words and hidden regions as classes.

It is pre-trained without matching and fine-tuned with it; both are learnt together here.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from .unicoder_vl_catalogue import *

model.backbone.visual_words = True
