"""TIR and ITR on MS-COCO, full 5k ranking by ITM (Table 6: R@1 49.66 TIR, 65.38 ITR).

5,000 pictures for each of 25,010 captions, of which only its own picture counts, even where two
pictures have equal captions; and back, where any caption of the picture counts.
Command: tools/dist_test.sh configs/mvlt/retrieval_full_coco.py CHECKPOINT 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.coco import *
    from .._base_.default_runtime import *
    from .._base_.evaluations.full_ranking import *

test_cfg.merge_captions = False
