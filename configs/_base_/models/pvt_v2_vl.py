"""PVT-v2-VL (beyond the paper), in place of PVT-VL."""

from mvlt.models import PVTV2VL

backbone = dict(
    type=PVTV2VL,
    image_size=256,
    text_len=128,
    vocab_size=30522,
    drop_path_rate=0.1,
)
