"""M-CR and S-CR of any model on the demo's products: nothing is trained.

A protocol: the model is the folder's or the checkpoint's (recognition_demo.py trains one).
Command: tools/test.py configs/demo/recognition_eval_demo.py MODEL
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.recognition import *
