"""Towers on a catalogue, with a part left out or changed: each row over dual_encoder_catalogue.py.

docs/results/2026-11-28-towers-ablation.md has what each is worth.
Command: tools/train.py mvlt/ablations/dual_encoder_catalogue/ROW --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

from mvlt.datasets import CategoryBatchSampler, MaskWords
from mvlt.engine import MomentumHook
from mvlt.models import PVTVL, HardITMHead, MLMHead, ViTVL

with read_base():
    from ...dual_encoder_catalogue import *

rows = {
    # the contrast alone: no categories and attributes, no names of them
    'itc': {'model.heads.labels': None, 'model.heads.prompts': None},
    # the contrast and hidden words
    'itc_mlm': {
        'model.heads.labels': None,
        'model.heads.prompts': None,
        'model.heads.mlm': dict(type=MLMHead, interval=4, on='all', loss_weight=0.5),
        'train_dataloader.dataset.pipeline.words': dict(type=MaskWords, ratio=0.3, **tokenizer),
        'find_unused_parameters': True,
    },
    # the last weights in the place of their moving average
    'last_weights': {'default_hooks.average': None},
    # half of each batch are products of few kinds
    'look_alikes': {
        'train_dataloader.sampler': dict(
            type=CategoryBatchSampler, batch_size=batch_size, group=16, share=0.5
        )
    },
    # two thirds of the width
    'narrow': {
        'model.backbone.embed_dims': (32, 48, 96, 128),
        'model.backbone.num_heads': (1, 2, 3, 4),
    },
    # pictures are not compared with the names of their classes
    'no_prompts': {'model.heads.prompts': None},
    # titles alone, no word dropped, no other wording
    'one_wording': {'train_dataloader.dataset.pipeline.augment_caption': None},
    # the paper's PVT-VL in the place of PVT-v2-VL
    'pvt_vl': {
        'model.backbone': dict(
            type=PVTVL,
            image_size='image_size',
            context_length=64,
            vocab_size=vocab_size,
            embed_dims=(48, 64, 128, 192),
            depths=(1, 1, 2, 2),
            num_heads=(1, 2, 4, 6),
            mlp_ratios=(4, 4, 4, 4),
            reductions=(4, 2, 1, 1),
            token_embed_dim=128,
            token_dropout=0.0,
            drop_path_rate=0.05,
            init_std=None,
        )
    },
    # a queue of 1,024 vectors of a momentum copy; pictures are not mixed
    'queue': {
        'model.data_preprocessor.mixup': 0.0,
        'model.heads.itc.queue': 1024,
        'default_hooks.momentum': dict(type=MomentumHook),
    },
    # the sigmoid form of the contrast
    'sigmoid': {'model.heads.itc.form': 'sigmoid'},
    # no picture is laid over another
    'unmixed': {'model.data_preprocessor.mixup': 0.0},
    # ViT-VL, one scale, in the place of PVT-v2-VL
    'vit_vl': {
        'model.backbone': dict(
            type=ViTVL,
            image_size='image_size',
            context_length=64,
            vocab_size=vocab_size,
            embed_dims=(192,),
            depth=6,
            num_heads=6,
            patch_size=8,
            token_embed_dim=128,
            token_dropout=0.0,
            drop_path_rate=0.05,
            init_std=None,
        )
    },
    # pictures whole, mirrored but not cropped
    'whole_pictures': {'train_dataloader.dataset.pipeline.crop': None},
}
# the contrast, hidden words and matching from hard pairs
rows['itc_mlm_itm'] = {
    **rows['itc_mlm'],
    'model.heads.itm': dict(
        type=HardITMHead, interval=4, hidden_dims=128, negatives=1, warmup_steps=4000
    ),
}
