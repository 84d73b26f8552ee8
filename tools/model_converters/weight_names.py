"""Convert names of other projects' weights to names of this project."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

_LAYER = {
    'attn.q': 'attention.query',
    'attn.kv': 'attention.key_value',
    'attn.proj': 'attention.out',
    'attn.sr': 'attention.reduce',
    'attn.norm': 'attention.reduce_norm',
    'mlp.fc1': 'mlp.0',
    'mlp.fc2': 'mlp.2',
    'norm1': 'norm1',
    'norm2': 'norm2',
}
_DECODER = {
    'reduction1': 'reductions.0',
    'reduction2': 'reductions.1',
    'reduction3': 'reductions.2',
    'conv_upsample1': 'gate_mid',
    'conv_upsample2': 'gate_low_by_mid',
    'conv_upsample3': 'gate_low',
    'conv_upsample4': 'lift_high',
    'conv_upsample5': 'lift_mid',
    'conv_concat2': 'join_mid',
    'conv_concat3': 'join_low',
    'conv4': 'smooth',
}
_PVT_V2_LAYER = {**_LAYER, 'mlp.dwconv.dwconv': 'depthwise'}
_PROJECTION = ('patches.projection.weight', 'patches.projection.bias')
_POSITIONS = ('patches.positions.grid',)
_PATCH_NORM = ('patches.norm.weight', 'patches.norm.bias')
_STAGE_NORM = ('norm.weight', 'norm.bias')
_HEADS = {
    'itm_head': 'heads.itm',
    'sup_cls_head': 'heads.main_category',
    'sub_cls_head': 'heads.sub_category',
}
# pattern of another name -> name here; {0}, {1}, ... are the pattern's groups; stages count from 0
_PATCHES = (
    (r'patch_embed(\d)\.proj\.(weight|bias)', 'backbone.stages.{0}.patches.projection.{1}'),
    (r'patch_embed(\d)\.norm\.(weight|bias)', 'backbone.stages.{0}.patches.norm.{1}'),
)


def _layers(names: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (
            rf'block(\d)\.(\d+)\.{re.escape(theirs)}\.(weight|bias)',
            f'backbone.stages.{{0}}.layers.{{1}}.{ours}.{{2}}',
        )
        for theirs, ours in names.items()
    )


_PVT = (
    *_PATCHES,
    (r'pos_embed(\d)', 'backbone.stages.{0}.patches.positions.grid'),
    *_layers(_LAYER),
)
_PVT_V2 = (
    *_PATCHES,
    *_layers(_PVT_V2_LAYER),
    (r'norm(\d)\.(weight|bias)', 'backbone.stages.{0}.norm.{1}'),
)
_VIT = (
    (r'patch_embed\.proj\.(weight|bias)', 'backbone.stages.0.patches.projection.{0}'),
    (r'pos_embed', 'backbone.stages.0.patches.positions.grid'),
    *(
        (
            rf'blocks\.(\d+)\.{re.escape(theirs)}\.(weight|bias)',
            f'backbone.stages.0.layers.{{0}}.{ours}.{{1}}',
        )
        for theirs, ours in _LAYER.items()
    ),
    (r'norm\.(weight|bias)', 'backbone.stages.0.norm.{0}'),
)
_RELEASED = (
    *_PVT,
    (r'text_embed(\d)\.0\.(weight|bias)', 'backbone.stages.{0}.text.linear.{1}'),
    (r'text_embed(\d)\.1\.(weight|bias)', 'backbone.stages.{0}.text.norm.{1}'),
    (r'text_pos_embed(\d)', 'backbone.stages.{0}.text.positions'),
    (r'text_embeddings\.word_embeddings\.weight', 'backbone.words.words.weight'),
    (r'text_embeddings\.position_embeddings\.weight', 'backbone.words.positions.weight'),
    (r'text_embeddings\.LayerNorm\.(weight|bias)', 'backbone.words.norm.{0}'),
    *(
        pair
        for theirs, ours in _HEADS.items()
        for pair in (
            (rf'{theirs}_embed\.([01])\.(weight|bias)', f'{ours}.projection.{{0}}.{{1}}'),
            (rf'{theirs}\.linear\.(weight|bias)', f'{ours}.classifier.{{0}}'),
        )
    ),
    (r'mlm_head_embed\.([01])\.(weight|bias)', 'heads.mlm.projection.{0}.{1}'),
    (r'mlm_head\.transform\.dense\.(weight|bias)', 'heads.mlm.transform.0.{0}'),
    (r'mlm_head\.transform\.LayerNorm\.(weight|bias)', 'heads.mlm.transform.2.{0}'),
    (r'mlm_head\.bias', 'heads.mlm.bias'),
    *(
        (
            rf't2i_head\.{theirs}\.([01])\.(weight|bias|running_mean|running_var)',
            f'neck.{ours}.{{0}}.{{1}}',
        )
        for theirs, ours in _DECODER.items()
    ),
    (r't2i_head\.score\.0\.(weight|bias)', 'heads.mir.pixels.{0}'),
)
# timm's names of PVT-v2, torchvision's and mmpretrain's of a ViT -> those of their authors; {0} is
# the first group; stages count from 1 there
_ELSEWHERE = dict(
    pvt_v2=(
        (r'patch_embed\.(.+)', 'patch_embed1.{0}'),
        (r'stages\.(\d)\.downsample\.(.+)', 'patch_embed{0}.{1}'),
        (r'stages\.(\d)\.blocks\.(\d+)\.mlp\.dwconv\.(.+)', 'block{0}.{1}.mlp.dwconv.dwconv.{2}'),
        (r'stages\.(\d)\.blocks\.(.+)', 'block{0}.{1}'),
        (r'stages\.(\d)\.norm\.(.+)', 'norm{0}.{1}'),
    ),
    vit=(
        (r'conv_proj\.(.+)', 'patch_embed.proj.{0}'),
        (r'encoder\.pos_embedding', 'pos_embed'),
        (r'class_token', 'cls_token'),
        (r'encoder\.ln\.(.+)', 'norm.{0}'),
        (r'heads\.(.+)', 'head.{0}'),
        *(
            (rf'encoder\.layers\.encoder_layer_(\d+)\.{theirs}', f'blocks.{{0}}.{ours}')
            for theirs, ours in {
                r'ln_([12])\.(.+)': 'norm{1}.{2}',
                r'self_attention\.in_proj_(.+)': 'attn.qkv.{1}',
                r'self_attention\.out_proj\.(.+)': 'attn.proj.{1}',
                r'mlp\.(?:0|linear_1)\.(.+)': 'mlp.fc1.{1}',
                r'mlp\.(?:3|linear_2)\.(.+)': 'mlp.fc2.{1}',
            }.items()
        ),
        (r'(?:backbone\.)?patch_embed\.projection\.(.+)', 'patch_embed.proj.{0}'),
        (r'backbone\.(pos_embed|cls_token)', '{0}'),
        (r'(?:backbone\.)?ln1\.(.+)', 'norm.{0}'),
        *(
            (rf'(?:backbone\.)?layers\.(\d+)\.{theirs}', f'blocks.{{0}}.{ours}')
            for theirs, ours in {
                r'ln([12])\.(.+)': 'norm{1}.{2}',
                r'attn\.(qkv|proj)\.(.+)': 'attn.{1}.{2}',
                r'ffn\.layers\.0\.0\.(.+)': 'mlp.fc1.{1}',
                r'ffn\.layers\.1\.(.+)': 'mlp.fc2.{1}',
            }.items()
        ),
    ),
)
# Classifiers and class tokens have no place in a model that reads words as well.
_UNUSED = dict(
    pvt=r'cls_token|head\..+|norm\..+',
    pvt_v2=r'head\..+',
    vit=r'cls_token|(head|fc_norm|pre_logits)\..+',
    released=r'.*position_ids|.*num_batches_tracked|mlm_head\.mlm_decoder\.(weight|bias)|cls_token',
)


_SOURCES = dict(released='the released MVLT code', pvt='PVT', pvt_v2='PVT-v2', vit='a plain ViT')


def convert_released(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """State dict of the released MVLT code -> this project's names (PVTVL, PartialDecoder, heads).

    Folded in, where the two differ: BERT's segment vector into the word positions, the second bias
    of the released classifiers into their first. The decoder of words is tied to the word table in
    both. The extra leading position of stage 4 is dropped.

    Raises:
        ValueError: a tensor has no place here, or one of the backbone is missing.
    """
    state = dict(state)
    segments = state.pop('text_embeddings.token_type_embeddings.weight', None)
    second = {
        name: state.pop(f'{name}.linear_bias') for name in _HEADS if f'{name}.linear_bias' in state
    }
    renamed = _rename(
        state, _RELEASED, 'released', (*_PROJECTION, *_PATCH_NORM, *_POSITIONS), _LAYER
    )
    if segments is not None and 'backbone.words.positions.weight' in renamed:
        renamed['backbone.words.positions.weight'] += segments[0]
    for name, bias in second.items():
        renamed[f'{_HEADS[name]}.classifier.bias'] += bias
    return renamed


def convert_pvt(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """State dict of an ImageNet PVT (Tiny, Small, Medium, Large) -> the image part of PVTVL.

    Names have the prefix ``backbone.``; text, tokens and heads start at random.
    Class token, class position and classifier are dropped.

    Raises:
        ValueError: an unknown tensor, or a missing one.
    """
    return _rename(dict(state), _PVT, 'pvt', (*_PROJECTION, *_PATCH_NORM, *_POSITIONS), _LAYER)


def convert_pvt_v2(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """State dict of an ImageNet PVT-v2 (B0 to B5, B2-Li; authors' or timm's) -> PVTV2VL.

    As :func:`convert_pvt`; B2-Li needs ``linear=True``, the others ``linear=False``.

    Raises:
        ValueError: an unknown tensor, or a missing one.
    """
    needed = (*_PROJECTION, *_PATCH_NORM, *_STAGE_NORM)
    return _rename(_as_the_authors(state, 'pvt_v2'), _PVT_V2, 'pvt_v2', needed, _PVT_V2_LAYER)


def convert_vit(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """State dict of an ImageNet ViT (timm's, DeiT's, torchvision's, mmpretrain's) -> ViTVL.

    As :func:`convert_pvt`. The common tensor of queries, keys and values is split.

    Raises:
        ValueError: an unknown tensor, or a missing one.
    """
    split = {}
    for name, value in _as_the_authors(state, 'vit').items():
        if '.attn.qkv.' in name:
            dims = len(value) // 3
            split[name.replace('.qkv.', '.q.')] = value[:dims]
            split[name.replace('.qkv.', '.kv.')] = value[dims:]
        else:
            split[name] = value
    needed = (*_PROJECTION, *_POSITIONS, *_STAGE_NORM)
    return _rename(split, _VIT, 'vit', needed, _LAYER, stages='0')


def _as_the_authors(state: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Names of other libraries -> names of the model's authors; unknown names stay."""
    renamed = {}
    for name, value in state.items():
        for pattern, target in _ELSEWHERE.get(kind, ()):
            if match := re.fullmatch(pattern, name):
                groups = list(match.groups())
                if name.startswith('stages'):
                    groups[0] = str(int(groups[0]) + 1)
                name = target.format(*groups)
                break
        renamed[name] = value
    return renamed


def folded_or_unused(state: Mapping[str, Any], source: str) -> list[str]:
    """Names of ``state`` without a tensor of the same role in the result.

    Args:
        state: the converted state dict.
        source: 'released', 'pvt', 'pvt_v2' or 'vit'.
    """
    unused, state = _UNUSED[source], _as_the_authors(state, source)
    folded = r'text_embeddings\.token_type_embeddings\.weight|.*\.linear_bias'
    return sorted(name for name in state if re.fullmatch(f'{unused}|{folded}', name))


def _rename(
    state: dict[str, Any],
    rules: tuple,
    kind: str,
    needed: Sequence[str],
    layer: Mapping[str, str],
    stages: str = '0123',
) -> dict[str, torch.Tensor]:
    """The tensors under names of this project.

    Args:
        state: other names -> tensors.
        rules: pattern of another name, name here.
        kind: the source, a key of ``_UNUSED``.
        needed: tensors of every stage beside its layers.
        layer: tensors of every layer, except the reduction of keys.
        stages: the required stages.
    """
    source, unused = _SOURCES[kind], _UNUSED[kind]
    renamed: dict[str, torch.Tensor] = {}
    unknown = []
    for name, value in state.items():
        if re.fullmatch(unused, name):
            continue
        for pattern, target in rules:
            if match := re.fullmatch(pattern, name):
                groups = list(match.groups())
                if 'stages.{0}' in target:
                    groups[0] = str(int(groups[0]) - 1)
                renamed[target.format(*groups)] = (
                    _grid(value) if 'pos_embed' in name[:9] else value.clone()
                )
                break
        else:
            unknown.append(name)
    if unknown:
        raise ValueError(
            f'{len(unknown)} unknown tensors, e.g. {", ".join(sorted(unknown)[:3])}: give a '
            f'checkpoint of {source}'
        )
    present = {name.split('.')[2] for name in renamed if name.startswith('backbone.stages')}
    if present != set(stages):
        raise ValueError(
            f'the checkpoint has stages {sorted(int(i) + 1 for i in present)}, '
            f'{"four are" if len(stages) == 4 else "one is"} needed: give a checkpoint of {source}'
        )
    lacking = _lacking(renamed, stages, needed, layer)
    if lacking:
        raise ValueError(
            f'{len(lacking)} tensors are missing, e.g. {", ".join(sorted(lacking)[:3])} (names of '
            f'this project): give a whole checkpoint of {source}'
        )
    return renamed


def _lacking(
    renamed: Mapping[str, torch.Tensor],
    stages: str,
    beside: Sequence[str],
    layer: Mapping[str, str],
) -> set[str]:
    """Names missing in ``renamed``, up to its last layer.

    Only some stages reduce keys; in such a stage, all layers do.
    """
    needed = set()
    for stage in stages:
        prefix = f'backbone.stages.{stage}'
        names = [name[len(prefix) + 1 :] for name in renamed if name.startswith(f'{prefix}.')]
        split = [name.split('.', 2)[1:] for name in names if name.startswith('layers.')]
        layers = range(max((int(number) for number, _ in split), default=0) + 1)
        kinds = {kind for _, kind in split}
        kinds |= {
            f'{ours}.{kind}'
            for ours in layer.values()
            if 'reduce' not in ours
            for kind in ('weight', 'bias')
        }
        needed |= {f'{prefix}.layers.{number}.{kind}' for number in layers for kind in kinds}
        needed |= {f'{prefix}.{name}' for name in beside}
    return needed - renamed.keys()


def _grid(positions: torch.Tensor) -> torch.Tensor:
    """(1, N, C) -> (1, C, side, side), without the class position."""
    side = int(positions.shape[1] ** 0.5)
    square = positions[:, positions.shape[1] - side * side :]
    return square.transpose(1, 2).reshape(1, -1, side, side).clone()
