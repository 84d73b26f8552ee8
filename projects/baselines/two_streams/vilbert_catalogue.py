"""ViLBERT: two streams with co-attention; masked tokens, classes of masked regions, matching.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from projects.baselines.two_streams.vilbert import TwoStreams

with read_base():
    from ..one_stream.unicoder_vl_catalogue import *

model.backbone.type = TwoStreams
