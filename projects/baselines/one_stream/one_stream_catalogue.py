"""Tokens and cells in one transformer, shared by the one-stream baselines.

It is inherited; to train it alone: tools/train.py THIS_FILE --data-root MY_CATALOGUE
Time and metric: not measured.
"""

from mmengine.config import read_base

from projects.baselines.one_stream.one_stream import OneStream

with read_base():
    from ..pairs_catalogue import *

model.backbone = dict(type=OneStream, vocab_size=vocab_size, cnn=cnn, cnn_dims=256)
