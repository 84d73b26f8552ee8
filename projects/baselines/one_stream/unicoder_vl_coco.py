"""Unicoder-VL on COCO (Table 6: R@1 48.40 TIR, 62.30 ITR).

Command: tools/dist_train.sh projects/baselines/one_stream/unicoder_vl_coco.py 8
Time and metric: not measured here.
"""

from mmengine.config import read_base

with read_base():
    from ..pairs_coco import *
