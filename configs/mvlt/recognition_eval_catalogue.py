"""M-CR and S-CR of any model on a catalogue: nothing is trained.

A protocol: it tests the folder or checkpoint that you name (recognition_catalogue.py trains one).
Command: tools/test.py configs/mvlt/recognition_eval_catalogue.py MODEL --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: seconds. Accuracy of shop_catalogue_scratch.py: 97.9 and 95.1 %
(docs/results/2026-11-28-second-round.md).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.catalogue import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.recognition import *
