"""VSE++: the hinge over the hardest negative of the batch.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
Hardware: one thread. Time: 3.2 minutes. R@1 of 101: TIR 5.5, ITR 4.0 (README.md).
"""

from mmengine.config import read_base

with read_base():
    from .vse_catalogue import *

model.heads.itc.hardest = True
