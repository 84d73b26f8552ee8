"""A small published model with random weights and every head."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mvlt.checkpoints.description import checked
from mvlt.checkpoints.folder import write_model_folder
from mvlt.config import load_config
from mvlt.registry import MODELS

SIDE = 32  # pixels
CATEGORIES = dict(main_category=['BAGS', 'SHOES'], sub_category=['BACKPACKS', 'TOTES', 'BOOTS'])


JOINT = dict(
    type='PVTVL',
    image_size=SIDE,
    context_length=24,
    vocab_size=400,
    token_embed_dim=16,
    embed_dims=[8, 16, 24, 32],
    num_heads=[1, 1, 1, 1],
    depths=[1, 1, 1, 1],
    reductions=[4, 2, 1, 1],
)
DUAL = dict(
    type='DualEncoder',
    vocab_size=400,
    image_encoder=dict(
        type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=[3]
    ),
    image_dims=64,
    text_encoder=dict(
        type='TextTransformer', context_length=24, embed_dims=16, depth=1, num_heads=2
    ),
)


def write_small_model(
    out: str | Path,
    tokenizer: str | Path,
    seed: int = 0,
    itc: bool = False,
    dual: bool = False,
) -> Path:
    """Write a folder of a narrow model for images of 32 px and 24 tokens.

    Args:
        out: the folder to make.
        tokenizer: folder with at most 400 word pieces.
        seed: of the weights.
        itc: add a head ``itc``.
        dual: a dual encoder with its heads; else a joint encoder with every head.
    """
    heads: dict[str, dict] = {
        level: dict(
            type='CategoryHead',
            num_classes=len(names),
            hidden_dims=16,
            reads='image' if dual else 'pair',
        )
        for level, names in CATEGORIES.items()
    }
    if not dual:
        pairs = dict(
            mir=dict(type='MIRHead'),
            itm=dict(type='ITMHead', hidden_dims=16),
            mlm=dict(type='MLMHead'),
        )
        heads = {**pairs, **heads}
    if itc or dual:
        heads['itc'] = dict(type='ITCHead', dims=12)
    preprocessor = dict(type='PairDataPreprocessor')
    description = checked(
        dict(
            model=dict(
                type='MVLT',
                backbone=DUAL if dual else JOINT,
                neck=None if dual else dict(type='UNet'),
                heads=heads,
                data_preprocessor=preprocessor,
            ),
            preprocessing=dict(
                load=dict(type='LoadImage'),
                resize=dict(type='Resize', scale=[SIDE, SIDE], keep_ratio=False, backend='pillow'),
                tokenize=dict(type='Tokenize', max_length=24),
            ),
            mask=None if dual else dict(type='RandomGridMask', ratio=0.5, alpha=2),
            categories=CATEGORIES,
        ),
        'small_model',
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        state = description.build().state_dict()
    return write_model_folder(out, description, state, str(tokenizer), '# a card')


def build_small(**parts: Any) -> Any:
    """A random model of four narrow stages; ``parts`` are heads and neck."""
    sizes = dict(embed_dims=(8, 16, 24, 32), num_heads=(1, 2, 1, 1), depths=(1, 2, 1, 1))
    backbone = dict(type='PVTVL', image_size=SIDE, vocab_size=400, token_embed_dim=16, **sizes)
    preprocessor = dict(type='PairDataPreprocessor')
    with DefaultScope.overwrite_default_scope('mvlt'):
        model = dict(type='MVLT', backbone=backbone, data_preprocessor=preprocessor, **parts)
        return MODELS.build(model).eval()


def with_model(config: Config, recipe: str) -> Config:
    """A protocol with the random model of a recipe, with the protocol's heads only."""
    model = load_config(recipe).model
    for head in set(model.heads) - set(config.test_heads):
        model.heads[head] = None
    if model.heads.get('mir') is None:
        model.neck = None
    config.model = model
    return config
