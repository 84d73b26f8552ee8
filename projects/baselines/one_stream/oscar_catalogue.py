"""OSCAR: predicted tags as a third segment, and detection of polluted tags.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from projects.baselines.one_stream.objectives import TagHead

with read_base():
    from .one_stream_catalogue import *

model.backbone.tags = 80  # sub-categories replace a detector's objects
model.heads.tags = dict(type=TagHead)
