"""M-CR and S-CR of any model on the demo's products: nothing is trained.

A protocol: it tests the folder or checkpoint that you name (recognition_demo.py trains one).
Command: tools/test.py configs/demo/recognition_eval_demo.py MODEL
Hardware: two CPU cores. Time: not measured. Accuracy of shop_demo.py: 99.8 and 99.8 %
(docs/results/2026-11-28-demo.md).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.demo import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.recognition import *
