"""Single-scale ViT-VL (Fig. 4a), in place of PVT-VL."""

from mvlt.models import ViTVL

backbone = dict(
    type=ViTVL,
    image_size=256,
    text_len=128,
    vocab_size=30522,
    drop_path_rate=0.1,
)
