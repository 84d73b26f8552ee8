"""Single-scale ViT-VL, ViT-S/32 (Fig. 4a), and a decoder for its map, in place of PVT-VL."""

from mvlt.models import LightDecoder, ViTVL

backbone = dict(
    type=ViTVL,
    image_size='image_size',
    context_length=128,
    vocab_size=30522,
    drop_path_rate=0.1,
)
decoder = dict(type=LightDecoder)
