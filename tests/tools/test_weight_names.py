"""Contract: the released weights reproduce the released outputs; PVT's weights are converted."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open

from mvlt.models import MVLT, PVTVL
from mvlt.tools.model_converters.weight_names import convert_pvt, convert_released, folded_or_unused
from tests.models.heads.stand_ins import loss_of
from tests.models.released_twin import Sizes, draw_weights, run

REFERENCE = Path(__file__).parents[3] / 'shared/reference/released_mvlt_small.safetensors'
OF_REFERENCE = Sizes(
    context_length=24,
    vocab_size=1000,
    dims=(16, 32, 80, 128),
    depths=(1, 2, 1, 2),
    heads=(1, 2, 5, 8),
    words=48,
    classes=(48, 122),
)
needs_reference = pytest.mark.skipif(
    not REFERENCE.exists(), reason='no reference outputs of the released network'
)


@pytest.fixture(scope='module')
def reference():
    with safe_open(REFERENCE, 'pt') as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _part(reference, prefix):
    return {
        name.removeprefix(prefix): value
        for name, value in reference.items()
        if name.startswith(prefix)
    }


def _model(sizes):
    head = dict(hidden_dims=sizes.words)
    return MVLT(
        backbone=dict(
            type='mvlt.PVTVL',
            image_size=sizes.image_size,
            context_length=sizes.context_length,
            vocab_size=sizes.vocab_size,
            embed_dims=sizes.dims,
            depths=sizes.depths,
            num_heads=sizes.heads,
            mlp_ratios=sizes.ratios,
            reductions=sizes.reductions,
            token_embed_dim=sizes.words,
        ),
        neck=dict(type='mvlt.PartialDecoder', channels=sizes.decoder),
        heads=dict(
            itm=dict(type='mvlt.ITMHead', **head),
            mlm=dict(type='mvlt.MLMHead', loss_on='all'),
            mir=dict(type='mvlt.MIRHead', upsample='bilinear', loss_weight=1.0),
            **{
                name: dict(type='mvlt.CategoryHead', num_classes=classes, **head)
                for name, classes in zip(('main_category', 'sub_category'), sizes.classes)
            },
        ),
    ).eval()


@torch.no_grad()
def _outputs(model, image, ids, itm_labels, mlm_labels):
    features = model.backbone.encode_pair(image, ids)
    cls, text = features.texts[-1][:, 0], features.texts[-1]
    decoded = model.neck(features.images)
    categories = model.heads
    return {
        **{f'image_feat{i + 1}': feat for i, feat in enumerate(features.images)},
        **{f'text_feat{i + 1}': feat for i, feat in enumerate(features.texts)},
        'itm_logits': model.heads.itm(cls=cls),
        'mlm_logits': model.heads.mlm(text=text, token_embedding=model.token_embedding),
        'sup_cls_logits': categories['main_category'](cls=cls),
        'sub_cls_logits': categories['sub_category'](cls=cls),
        't2i_logits': model.heads.mir(decoded=decoded),
        'loss_itm': loss_of(model.heads.itm, cls=cls, matched=itm_labels),
        'loss_mlm': loss_of(
            model.heads.mlm,
            text=text,
            words=mlm_labels,
            matched=None,
            token_embedding=model.token_embedding,
        ),
        'loss_mir': loss_of(model.heads.mir, decoded=decoded, target=image, mask=None),
    }


def _compare(outputs, expected, capsys):
    assert set(outputs) == set(expected)
    with capsys.disabled():
        for name, value in outputs.items():
            difference = (value - expected[name].view_as(value)).abs()
            print(f'\n{name}: max {difference.max():.1e}, mean {difference.mean():.1e}', end='')
            assert difference.max() < 1e-5, name


@needs_reference
def test_parity_with_the_released_network(reference, capsys):
    model = _model(OF_REFERENCE)
    model.load_state_dict(convert_released(_part(reference, 'weights/')))
    inputs = (reference[f'inputs/{k}'] for k in ('image', 'input_ids', 'itm_labels', 'mlm_labels'))
    _compare(_outputs(model, *inputs), _part(reference, 'outputs/'), capsys)


@needs_reference
@torch.no_grad()
def test_the_twin_is_the_released_network(reference):
    """The next test relies on this if the reference is missing."""
    outputs = run(
        OF_REFERENCE,
        _part(reference, 'weights/'),
        reference['inputs/image'],
        reference['inputs/input_ids'],
    )
    for name, value in outputs.items():
        expected = reference[f'outputs/{name}'].view_as(value)
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    'sizes',
    [
        Sizes(),
        Sizes(image_size=96, context_length=17, depths=(2, 1, 2, 1), reductions=(4, 2, 1, 1)),
        Sizes(dims=(16, 16, 32, 64), heads=(2, 2, 4, 8), ratios=(4, 4, 2, 2), decoder=16),
    ],
)
@torch.no_grad()
def test_parity_with_the_twin(sizes, capsys):
    torch.manual_seed(0)
    state = draw_weights(sizes, seed=3)
    image = torch.rand(2, 3, sizes.image_size, sizes.image_size)
    ids = torch.randint(0, sizes.vocab_size, (2, sizes.context_length))
    matched = torch.tensor([1, 0])
    words = torch.where(torch.rand(ids.shape) < 0.5, ids, -1)
    expected = run(sizes, state, image, ids)
    expected |= dict(
        loss_itm=F.cross_entropy(expected['itm_logits'], matched),
        loss_mlm=F.cross_entropy(
            expected['mlm_logits'].flatten(0, 1), words.flatten(), ignore_index=-1
        ),
        loss_mir=F.smooth_l1_loss(expected['t2i_logits'], image),
    )
    model = _model(sizes)
    model.load_state_dict(convert_released(state))
    scale = {name: value.abs().max().clamp(min=1) for name, value in expected.items()}
    outputs = _outputs(model, image, ids, matched, words)
    _compare(
        {name: value / scale[name] for name, value in outputs.items()},
        {name: value / scale[name] for name, value in expected.items()},
        capsys,
    )


def test_foreign_and_incomplete_states_are_refused():
    weights = draw_weights(Sizes(), seed=0)
    with pytest.raises(ValueError, match='1 unknown tensors.*lora_A'):
        convert_released({**weights, 'block1.0.attn.q.lora_A': torch.zeros(1)})
    part = {name: value for name, value in weights.items() if 'block4' not in name[:7]}
    part = {name: value for name, value in part.items() if 'embed4' not in name}
    with pytest.raises(ValueError, match=r'stages \[1, 2, 3\], four are needed'):
        convert_released(part)


def test_one_missing_tensor_is_named():
    sizes = dict(
        context_length=8, vocab_size=20, embed_dims=(8, 16, 24, 32), num_heads=(1, 2, 3, 4)
    )
    model = PVTVL(image_size=32, depths=(1, 2, 1, 1), token_embed_dim=16, **sizes)
    state = _pvt_state(model, side=32)
    for theirs, ours in (
        ('block2.1.norm1.weight', 'stages.1.layers.1.norm1.weight'),
        ('block2.0.attn.sr.bias', 'stages.1.layers.0.attention.reduce.bias'),
        ('pos_embed3', 'stages.2.patches.positions.grid'),
    ):
        part = {name: value for name, value in state.items() if name != theirs}
        with pytest.raises(ValueError, match=f'1 tensors are missing, e.g. backbone.{ours}'):
            convert_pvt(part)


def test_tensors_without_a_counterpart_are_listed():
    state = draw_weights(Sizes(), seed=0)
    dropped = folded_or_unused(state, 'released')
    assert 'text_embeddings.token_type_embeddings.weight' in dropped
    assert len(state) - len(convert_released(state)) == len(dropped)
    pvt = {'cls_token': 0, 'head.weight': 0, 'norm.bias': 0, 'pos_embed1': 0}
    assert folded_or_unused(pvt, 'pvt') == ['cls_token', 'head.weight', 'norm.bias']


def _pvt_state(model: PVTVL, side: int) -> dict[str, torch.Tensor]:
    """State dict of our model under PVT's public names."""
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


def test_pvt_weights_are_converted():
    sizes = dict(
        context_length=8,
        vocab_size=20,
        embed_dims=(8, 16, 24, 32),
        num_heads=(1, 2, 3, 4),
        token_embed_dim=16,
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
    # stage 4 begins with a class position, which is dropped
    assert target.stages[3].patches.positions.grid.flatten()[0] == 32
    # channels are last in PVT and first here
    grid = target.stages[0].patches.positions.grid
    assert grid[0, 3, 2, 5] == (2 * 8 + 5) * 8 + 3
