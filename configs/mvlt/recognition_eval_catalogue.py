"""M-CR and S-CR of any model on one's own catalogue: nothing is trained.

A protocol: the model is the folder's or the checkpoint's (recognition_catalogue.py trains one).
Command: tools/test.py configs/mvlt/recognition_eval_catalogue.py MODEL --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.recognition import *
