"""PFAN: SCAN, text to image, with position embeddings of regions.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from projects.baselines.late_interaction.stacked_attention import PositionFocusedRegions

with read_base():
    from .scan_t2i_catalogue import *

model.backbone.image_encoder.type = PositionFocusedRegions
