"""CLIP, small and at random. tools/model_converters/import_folder.py reads trained ones.

Command: tools/train.py THIS_FILE --data-root MY_CATALOGUE
Hardware: one thread. Time: 4.1 minutes. R@1 of 101: TIR 18.2, ITR 19.2 (README.md).
"""

from mmengine.config import read_base

from mvlt.models import DualEncoder, ITCHead, TransformersImageEncoder, TransformersTextEncoder

with read_base():
    from .small_catalogue import *

model.backbone = dict(
    type=DualEncoder,
    image_encoder=dict(
        type=TransformersImageEncoder,
        config=dict(small_vision, model_type='clip_vision_model', projection_dim=128),
    ),
    text_encoder=dict(
        type=TransformersTextEncoder,
        config=dict(
            small_text,
            model_type='clip_text_model',
            projection_dim=128,
            max_position_embeddings=77,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
        ),
    ),
    vocab_size=vocab_size,
)
model.heads.itc = dict(type=ITCHead, dims=None)
