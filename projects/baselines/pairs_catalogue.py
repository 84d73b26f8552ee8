"""Shared by all baselines on a catalogue that read image and text together.

Half of the pairs are negatives, as in the paper's recipe; tokens are masked in all pairs. It is
inherited, not trained.
"""

from mmengine.config import read_base

from mvlt.datasets import MaskWords, MatchingPairs
from mvlt.models import ITMHead, MLMHead

with read_base():
    from .dual_encoder_catalogue import *

model.heads.categories.interval = 4
model.heads.itm = dict(type=ITMHead, hidden_dims=128)
model.heads.mlm = dict(type=MLMHead)
train_dataloader.dataset.pipeline.words = dict(type=MaskWords, ratio=0.15, **tokenizer)
train_dataloader.merge(
    dict(
        dataset=dict(
            _delete_=True,
            type=MatchingPairs,
            negative_prob=0.5,
            same_category_prob=0.3,
            dataset=train_dataloader.dataset,
        )
    )
)
test_cfg.rerank = 'itm'
