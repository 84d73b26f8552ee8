"""SigLIP, small and at random: each pair on its own, by a sigmoid; captions padded to one length.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.models import DualEncoder
from projects.baselines.from_transformers.adapters import ImageSide, OwnITCHead, TextSide

with read_base():
    from .small_catalogue import *

model.data_preprocessor.text_len = 32
model.data_preprocessor.attend_pad = True
test_dataloader.dataset.pipeline.tokenize.max_len = 32
train_dataloader.dataset.pipeline.tokenize.max_len = 32
model.backbone = dict(
    type=DualEncoder,
    image_encoder=dict(type=ImageSide, kind='SiglipVisionModel', settings=small_vision),
    text_encoder=dict(
        type=TextSide,
        kind='SiglipTextModel',
        settings=dict(small_text, max_position_embeddings=32, projection_size=128),
    ),
    vocab_size=vocab_size,
)
model.heads.itc = dict(type=OwnITCHead, form='sigmoid', max_scale=1000.0)
