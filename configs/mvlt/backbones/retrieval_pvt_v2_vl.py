"""TIR and ITR on Fashion-Gen with PVT-v2-VL (beyond the paper).

Command: tools/dist_test.sh configs/mvlt/backbones/retrieval_pvt_v2_vl.py CHECKPOINT 8
Time and metric: not measured here.
"""

from mmengine.config import read_base

from mvlt.models import PVTV2VL

with read_base():
    from ..retrieval_fashiongen import *

model.backbone = dict(
    type=PVTV2VL,
    image_size=image_size,
    text_len=128,
    vocab_size=30522,
    drop_path_rate=0.1,
)
