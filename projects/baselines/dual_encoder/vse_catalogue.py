"""VSE: hinge loss over all negatives of the batch.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from projects.baselines.dual_encoder.vse import HingeHead

with read_base():
    from ..dual_encoder_catalogue import *

model.heads.itc = dict(type=HingeHead)
