"""Base of the one-stream baselines: tokens and cells in one transformer.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from projects.baselines.one_stream.one_stream import OneStream

with read_base():
    from ..pairs_catalogue import *

model.backbone = dict(type=OneStream, vocab_size=vocab_size, cnn=cnn, cnn_dims=256)
