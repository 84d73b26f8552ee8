"""OSCAR: names of what is seen as a third segment, and the contrast of polluted ones.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from projects.baselines.one_stream.objectives import TagHead

with read_base():
    from .one_stream_catalogue import *

model.backbone.tags = 80  # sub-categories, which take the place of a detector's objects
model.heads.tags = dict(type=TagHead)
