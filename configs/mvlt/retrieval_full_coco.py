"""TIR and ITR on MS-COCO, full 5k ranking by ITM (Table 6: R@1 TIR 49.66, ITR 65.38).

Each of 25,010 captions ranks 5,000 images. Only its own image counts, even if two images have equal
captions. Each image ranks the captions; any caption of the image counts.
Command: tools/dist_test.sh configs/mvlt/retrieval_full_coco.py CHECKPOINT 8
Hardware: 8 GPUs. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.coco import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.full_ranking import *

test_cfg.merge_captions = False
