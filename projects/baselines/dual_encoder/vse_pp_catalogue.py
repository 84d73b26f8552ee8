"""VSE++: hinge loss over the hardest negative of the batch.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from .vse_catalogue import *

model.heads.itc.hardest = True
