"""PVT-v2-VL B1 in place of PVT-VL. Not in the paper."""

from mvlt.models import PVTV2VL

backbone = dict(
    type=PVTV2VL,
    arch='b1',
    linear=False,  # as PVT-v2's ImageNet weights but B2-Li's
    image_size='image_size',
    context_length=128,
    vocab_size=30522,
    drop_path_rate=0.1,
)
