"""VSE++: the hinge over the hardest wrong pair of the batch.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from .vse_catalogue import *

model.heads.itc.hardest = True
