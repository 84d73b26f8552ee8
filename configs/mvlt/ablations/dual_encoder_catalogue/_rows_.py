"""dual_encoder_catalogue_scratch.py with a part removed or changed.

Command: tools/train.py mvlt/ablations/dual_encoder_catalogue/ROW --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: 0.7 to 1.4 s a step.
Metric: docs/results/2026-11-28-towers-ablation.md (itc, itc_mlm, itc_mlm_itm, vit_vl after 560
steps); other rows not measured.
"""

from mmengine.config import read_base

from mvlt.datasets import CategoryBatchSampler, MaskWords
from mvlt.engine import MomentumHook
from mvlt.models import PVTVL, HardITMHead, MLMHead, ViTVL

with read_base():
    from ...dual_encoder_catalogue_scratch import *

rows = {
    # contrast alone: no categories, no attributes, no prompts
    'itc': {'model.heads.labels': None, 'model.heads.prompts': None},
    # contrast and MLM
    'itc_mlm': {
        'model.heads.labels': None,
        'model.heads.prompts': None,
        'model.heads.mlm': dict(type=MLMHead, interval=4, loss_on='all', loss_weight=0.5),
        'train_dataloader.dataset.pipeline.words': dict(type=MaskWords, ratio=0.3, **tokenizer),
        'find_unused_parameters': True,
    },
    # last weights, no moving average
    'last_weights': {'default_hooks.average': None},
    # half of each batch are products of few categories
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
    # no comparison with class names
    'no_prompts': {'model.heads.prompts': None},
    # titles alone: no dropped token, no caption template
    'one_wording': {'train_dataloader.dataset.pipeline.augment_caption': None},
    # the paper's PVT-VL, not PVT-v2-VL
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
    # a queue of 1,024 embeddings of the momentum encoder; no mixup
    'queue': {
        'model.data_preprocessor.mixup': 0.0,
        'model.heads.itc.queue': 1024,
        'default_hooks.momentum': dict(type=MomentumHook),
    },
    # sigmoid loss
    'sigmoid': {'model.heads.itc.form': 'sigmoid'},
    # no mixup
    'unmixed': {'model.data_preprocessor.mixup': 0.0},
    # single-scale ViT-VL, not PVT-v2-VL
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
    # whole images: mirrored, not cropped
    'whole_images': {'train_dataloader.dataset.pipeline.crop': None},
}
# contrast, MLM, and matching with hard negatives
rows['itc_mlm_itm'] = {
    **rows['itc_mlm'],
    'model.heads.itm': dict(
        type=HardITMHead, interval=4, hidden_dims=128, negatives=1, warmup_steps=4000
    ),
}
