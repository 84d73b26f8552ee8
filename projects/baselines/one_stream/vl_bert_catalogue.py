"""VL-BERT: the image's feature at each token; masked tokens, classes of masked regions.

The original is pre-trained without matching and fine-tuned with it; here both train together.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from .unicoder_vl_catalogue import *

model.backbone.visual_words = True
