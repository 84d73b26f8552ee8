"""Unicoder-VL on COCO (Table 6: R@1 TIR 48.40, ITR 62.30).

Command: tools/dist_train.sh projects/baselines/one_stream/unicoder_vl_coco.py 8
Hardware: 8 GPUs, batch 8 x 32. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from ..pairs_coco import *
