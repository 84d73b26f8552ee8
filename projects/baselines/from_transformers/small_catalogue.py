"""Sizes of the small random models CLIP, SigLIP and BLIP. It is inherited, not trained."""

from mmengine.config import read_base

with read_base():
    from ..dual_encoder_catalogue import *

small_text = dict(
    hidden_size=128, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4
)
small_vision = dict(
    hidden_size=128,
    intermediate_size=512,
    num_hidden_layers=4,
    num_attention_heads=4,
    image_size='image_size',
    patch_size=8,
)
