"""Contract: weights of the released code give its numbers here; PVT's find their places."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mvlt.models import MVLT, PVTVL
from mvlt.models.conversion import convert_pvt, convert_released

REFERENCE = Path(__file__).parents[3] / 'shared/reference/released_mvlt_small.safetensors'
needs_reference = pytest.mark.skipif(
    not REFERENCE.exists(), reason='the reference numbers of the released network are not at hand'
)


@pytest.fixture(scope='module')
def reference():
    with safe_open(REFERENCE, 'pt') as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _weights(reference):
    return {
        name.removeprefix('weights/'): value
        for name, value in reference.items()
        if name.startswith('weights/')
    }


def _model():
    head = dict(hidden_dims=48)
    return MVLT(
        backbone=dict(
            type='mvlt.PVTVL',
            image_size=64,
            text_len=24,
            vocab_size=1000,
            embed_dims=(16, 32, 80, 128),
            depths=(1, 2, 1, 2),
            word_dims=48,
        ),
        neck=dict(type='mvlt.PartialDecoder'),
        itm_head=dict(type='mvlt.ITMHead', **head),
        mlm_head=dict(type='mvlt.MLMHead', on='all'),
        mir_head=dict(type='mvlt.MIRHead', upsample='bilinear', loss_weight=1.0),
        category_heads=dict(
            main_category=dict(type='mvlt.CategoryHead', num_classes=48, **head),
            sub_category=dict(type='mvlt.CategoryHead', num_classes=122, **head),
        ),
    ).eval()


@needs_reference
@torch.no_grad()
def test_parity_with_the_released_network(reference, capsys):
    model = _model()
    model.load_state_dict(convert_released(_weights(reference)))
    features = model.backbone(reference['inputs/image'], reference['inputs/input_ids'])
    cls, text = features.texts[-1][:, 0], features.texts[-1]
    decoded = model.neck(features.images)
    categories = model.category_heads
    found = {
        **{f'image_feat{i + 1}': one for i, one in enumerate(features.images)},
        **{f'text_feat{i + 1}': one for i, one in enumerate(features.texts)},
        'itm_logits': model.itm_head(cls=cls)[:, None],
        'mlm_logits': model.mlm_head(text=text, word_table=model.word_table),
        'sup_cls_logits': categories['main_category'](cls=cls)[:, None],
        'sub_cls_logits': categories['sub_category'](cls=cls)[:, None],
        't2i_logits': model.mir_head(decoded=decoded),
        'loss_itm': model.itm_head.loss(cls=cls, matched=reference['inputs/itm_labels']),
        'loss_mlm': model.mlm_head.loss(
            text=text,
            labels=reference['inputs/mlm_labels'],
            matched=None,
            word_table=model.word_table,
        ),
        'loss_mir': model.mir_head.loss(
            decoded=decoded, target=reference['inputs/image'], mask=None
        ),
    }
    assert set(found) == {n.removeprefix('outputs/') for n in reference if n.startswith('outputs/')}
    with capsys.disabled():
        for name, value in found.items():
            difference = (value - reference[f'outputs/{name}']).abs()
            print(f'\n{name}: max {difference.max():.1e}, mean {difference.mean():.1e}', end='')
            assert difference.max() < 1e-5, name


@needs_reference
def test_foreign_and_incomplete_states_are_refused(reference):
    weights = _weights(reference)
    with pytest.raises(ValueError, match='1 tensors have no place .*lora_A'):
        convert_released({**weights, 'block1.0.attn.q.lora_A': torch.zeros(1)})
    part = {name: value for name, value in weights.items() if 'block4' not in name[:7]}
    part = {name: value for name, value in part.items() if 'embed4' not in name}
    with pytest.raises(ValueError, match=r'stages \[1, 2, 3\] found, four needed'):
        convert_released(part)


def _pvt_state(model: PVTVL, side: int) -> dict[str, torch.Tensor]:
    """A state dict in PVT's public names, made from a model of ours by hand."""
    state = {'cls_token': torch.zeros(1, 1, 32), 'norm.weight': torch.ones(32)}
    state['head.weight'] = torch.zeros(10, 32)
    for i, stage in enumerate(model.stages):
        k, grid = i + 1, side // 2 ** (i + 2)
        state[f'patch_embed{k}.proj.weight'] = stage.patches.projection.weight
        state[f'patch_embed{k}.proj.bias'] = stage.patches.projection.bias
        state[f'patch_embed{k}.norm.weight'] = stage.patches.norm.weight
        state[f'patch_embed{k}.norm.bias'] = stage.patches.norm.bias
        tokens = grid * grid + (k == 4)
        dims = stage.patches.norm.weight.shape[0]
        state[f'pos_embed{k}'] = torch.arange(tokens * dims).float().view(1, tokens, dims)
        for j, layer in enumerate(stage.layers):
            for theirs, ours in (
                ('norm1', layer.norm1),
                ('norm2', layer.norm2),
                ('attn.q', layer.attention.query),
                ('attn.kv', layer.attention.key_value),
                ('attn.proj', layer.attention.out),
                ('mlp.fc1', layer.mlp[0]),
                ('mlp.fc2', layer.mlp[2]),
            ):
                state[f'block{k}.{j}.{theirs}.weight'] = ours.weight
                state[f'block{k}.{j}.{theirs}.bias'] = ours.bias
            if layer.attention.reduction > 1:
                state[f'block{k}.{j}.attn.sr.weight'] = layer.attention.reduce.weight
                state[f'block{k}.{j}.attn.sr.bias'] = layer.attention.reduce.bias
                state[f'block{k}.{j}.attn.norm.weight'] = layer.attention.reduce_norm.weight
                state[f'block{k}.{j}.attn.norm.bias'] = layer.attention.reduce_norm.bias
    return {name: value.detach().clone() for name, value in state.items()}


def test_pvt_weights_find_their_places():
    sizes = dict(
        text_len=8, vocab_size=20, embed_dims=(8, 16, 24, 32), num_heads=(1, 2, 3, 4), word_dims=16
    )
    source = PVTVL(image_size=32, depths=(1, 2, 1, 1), **sizes)
    renamed = convert_pvt(_pvt_state(source, side=32))
    assert {name.split('.')[0] for name in renamed} == {'backbone'}
    state = {name.removeprefix('backbone.'): value for name, value in renamed.items()}
    target = PVTVL(image_size=32, depths=(1, 2, 1, 1), **sizes)
    missing, unexpected = target.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith('words.') or '.text.' in name for name in missing)
    for name, value in source.state_dict().items():
        if name in state and not name.endswith('grid'):
            assert torch.equal(value, target.state_dict()[name])
    # stage 4 has a class position in front, which is dropped: 1 of 1 + 1 x 1 x 32 numbers
    assert target.stages[3].patches.positions.grid.flatten()[0] == 32
    # channels come last there and first here
    grid = target.stages[0].patches.positions.grid
    assert grid[0, 3, 2, 5] == (2 * 8 + 5) * 8 + 3
