"""Contract: an ImageNet PVT-v2 or ViT, converted, gives its own numbers where no word is read."""

import pytest
import torch
import torch.nn.functional as F

from mvlt.config import load_config
from mvlt.models import PVTV2VL, ViTVL
from mvlt.tools.model_converters.weight_names import convert_pvt_v2, convert_vit, folded_or_unused

WORDS = dict(context_length=8, vocab_size=20, token_embed_dim=16)
IMAGE = dict(WORDS, image_size=64)
# names of an independent implementation (transformers) -> the public ones of PVT-v2
PVT_V2_NAMES = {
    'patch_embedding.proj': 'patch_embed{k}.proj',
    'patch_embedding.layer_norm': 'patch_embed{k}.norm',
    'layer_norm_1': 'norm1',
    'layer_norm_2': 'norm2',
    'attention.query': 'attn.q',
    'attention.proj': 'attn.proj',
    'attention.spatial_reduction': 'attn.sr',
    'attention.layer_norm': 'attn.norm',
    'mlp.dense1': 'mlp.fc1',
    'mlp.dense2': 'mlp.fc2',
    'mlp.dwconv.dwconv': 'mlp.dwconv.dwconv',
}


def _start(backbone, converted):
    state = {name.removeprefix('backbone.'): value for name, value in converted.items()}
    missing, unexpected = backbone.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith('words.') or '.text.' in name for name in missing)
    return backbone.eval()


@torch.no_grad()
def _image_alone(backbone, image):
    """Maps of all stages; no key of a word is seen."""
    tokens = torch.randint(0, 20, (len(image), 5))
    return backbone.encode_pair(image, tokens, torch.zeros_like(tokens, dtype=torch.bool)).images


def _public_pvt_v2(state):
    """A state dict of transformers' PvtV2Model in PVT-v2's public names."""
    public, keys = {}, {}
    for name, value in state.items():
        stage, rest = name.removeprefix('encoder.layers.').split('.', 1)
        k = int(stage) + 1
        if rest.startswith('layer_norm'):
            public[f'norm{k}.{rest.rpartition(".")[2]}'] = value
            continue
        place, kind = rest.rsplit('.', 1)
        prefix = ''
        if place.startswith('blocks.'):
            _, block, place = place.split('.', 2)
            prefix = f'block{k}.{block}.'
        if place in ('attention.key', 'attention.value'):
            keys.setdefault((prefix, kind), {})[place] = value
            continue
        public[prefix + PVT_V2_NAMES[place].format(k=k) + f'.{kind}'] = value
    for (prefix, kind), parts in keys.items():
        pair = parts['attention.key'], parts['attention.value']
        public[f'{prefix}attn.kv.{kind}'] = torch.cat(pair)
    return {**public, 'head.weight': torch.zeros(3, 32), 'head.bias': torch.zeros(3)}


@pytest.mark.parametrize('linear', [False, True])
def test_pvt_v2_gives_its_own_maps(linear):
    from transformers import PvtV2Config, PvtV2Model

    sizes = dict(depths=(1, 2, 1, 1), mlp_ratios=(3, 3, 2, 2))
    theirs = PvtV2Model(
        PvtV2Config(
            image_size=64,
            hidden_sizes=[8, 16, 24, 32],
            num_attention_heads=[1, 2, 3, 4],
            sr_ratios=[8, 4, 2, 1],
            linear_attention=linear,
            **{name: list(value) for name, value in sizes.items()},
        )
    ).eval()
    with torch.no_grad():
        for value in theirs.parameters():  # norms and biases too are random
            value += 0.2 * torch.randn_like(value)
    ours = PVTV2VL(
        **IMAGE, **sizes, embed_dims=(8, 16, 24, 32), num_heads=(1, 2, 3, 4), linear=linear
    )
    state = _public_pvt_v2(theirs.state_dict())
    _start(ours, convert_pvt_v2(state))
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = theirs(image, output_hidden_states=True).hidden_states
    for found, wanted in zip(_image_alone(ours, image), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
    assert folded_or_unused(state, 'pvt_v2') == ['head.bias', 'head.weight']
    converted, of_timm = convert_pvt_v2(state), convert_pvt_v2(_timms_pvt_v2(state))
    assert converted.keys() == of_timm.keys()
    assert all(torch.equal(value, of_timm[name]) for name, value in converted.items())


def _timms_pvt_v2(state):
    """As ``timm.create_model('pvt_v2_b0').state_dict()`` (1.0) names them."""
    found = {}
    for name, value in state.items():
        name = name.replace('dwconv.dwconv', 'dwconv')
        for k in range(4):
            name = name.replace(f'block{k + 1}.', f'stages.{k}.blocks.')
            embed = 'patch_embed.' if k == 0 else f'stages.{k}.downsample.'
            name = name.replace(f'patch_embed{k + 1}.', embed)
            name = f'stages.{k}.norm.{name[6:]}' if name.startswith(f'norm{k + 1}.') else name
        found[name] = value
    return found


def _vit_state(dims, depth, grid):
    """Random weights in timm's names; norms are random too."""
    shapes = {'patch_embed.proj': (dims, 3, 16, 16), 'norm': (dims,)}
    for i in range(depth):
        shapes |= {f'blocks.{i}.norm1': (dims,), f'blocks.{i}.norm2': (dims,)}
        shapes |= {f'blocks.{i}.attn.qkv': (3 * dims, dims), f'blocks.{i}.attn.proj': (dims, dims)}
        shapes |= {f'blocks.{i}.mlp.fc1': (4 * dims, dims), f'blocks.{i}.mlp.fc2': (dims, 4 * dims)}
    state = {'cls_token': torch.randn(1, 1, dims), 'pos_embed': torch.randn(1, 1 + grid**2, dims)}
    state |= {'head.weight': torch.randn(5, dims), 'head.bias': torch.randn(5)}
    for name, shape in shapes.items():
        state[f'{name}.weight'] = torch.randn(shape) / max(1, shape[-1]) ** 0.5
        state[f'{name}.bias'] = torch.randn(shape[0])
    return state


def _vit(state, image, heads, depth):
    """The plain vision transformer as a formula, without a class token."""

    def norm(name, x):
        return F.layer_norm(x, x.shape[-1:], state[f'{name}.weight'], state[f'{name}.bias'], 1e-6)

    def linear(name, x):
        return F.linear(x, state[f'{name}.weight'], state[f'{name}.bias'])

    x = F.conv2d(image, state['patch_embed.proj.weight'], state['patch_embed.proj.bias'], 16)
    size = x.shape[2:]
    x = x.flatten(2).transpose(1, 2) + state['pos_embed'][:, 1:]
    for i in range(depth):
        q, k, v = (
            one.unflatten(2, (heads, -1)).transpose(1, 2)
            for one in linear(f'blocks.{i}.attn.qkv', norm(f'blocks.{i}.norm1', x)).chunk(3, -1)
        )
        weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1)
        x = x + linear(f'blocks.{i}.attn.proj', (weights @ v).transpose(1, 2).flatten(2))
        hidden = F.gelu(linear(f'blocks.{i}.mlp.fc1', norm(f'blocks.{i}.norm2', x)))
        x = x + linear(f'blocks.{i}.mlp.fc2', hidden)
    return norm('norm', x).transpose(1, 2).unflatten(2, size)


def test_vit_gives_its_own_map():
    state = _vit_state(dims=24, depth=3, grid=4)
    ours = ViTVL(**IMAGE, embed_dims=(24,), depth=3, num_heads=4, patch_size=16)
    _start(ours, convert_vit(state))
    image = torch.randn(2, 3, 64, 64)
    (found,) = _image_alone(ours, image)
    torch.testing.assert_close(found, _vit(state, image, 4, 3), atol=2e-5, rtol=1e-4)
    assert folded_or_unused(state, 'vit') == ['cls_token', 'head.bias', 'head.weight']


def _random(model):
    with torch.no_grad():
        for value in model.parameters():  # norms, biases and positions too
            value += 0.2 * torch.randn_like(value)
    model.eval()  # mmpretrain's gives nothing back
    return model


@torch.no_grad()
def test_torchvisions_vit_gives_its_own_map():
    """Its layers over the patches alone: ours has no class token."""
    vision = pytest.importorskip('torchvision.models', reason='names of torchvision')
    theirs = _random(vision.VisionTransformer(64, 16, 3, 4, 24, 96, num_classes=5))
    ours = ViTVL(**IMAGE, embed_dims=(24,), depth=3, num_heads=4, patch_size=16)
    _start(ours, convert_vit(theirs.state_dict()))
    image = torch.randn(2, 3, 64, 64)
    x = theirs._process_input(image) + theirs.encoder.pos_embedding[:, 1:]
    expected = theirs.encoder.ln(theirs.encoder.layers(x)).transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(_image_alone(ours, image)[0], expected, atol=2e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_mmpretrains_vit_gives_its_own_map(prefix):
    from mmpretrain.models import VisionTransformer

    arch = dict(embed_dims=24, num_layers=3, num_heads=4, feedforward_channels=96)
    theirs = _random(VisionTransformer(arch, 64, 16, with_cls_token=False, out_type='featmap'))
    ours = ViTVL(**IMAGE, embed_dims=(24,), depth=3, num_heads=4, patch_size=16)
    state = {f'{prefix}{name}': value for name, value in theirs.state_dict().items()}
    _start(ours, convert_vit(state))
    image = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(_image_alone(ours, image)[0], theirs(image)[0], atol=2e-5, rtol=1e-4)


def test_what_is_missing_or_foreign_is_named():
    state = _vit_state(dims=24, depth=2, grid=2)
    del state['blocks.0.mlp.fc2.bias']
    with pytest.raises(ValueError, match=r'1 tensors are missing, e.g. .*layers.0.mlp.2.bias'):
        convert_vit(state)
    with pytest.raises(ValueError, match='give a checkpoint of PVT-v2'):
        convert_pvt_v2(state)


@pytest.mark.parametrize('name', ['pretrain_pvt_v2_vl', 'pretrain_vit_vl'])
def test_a_swapped_backbone_does_not_start_at_random(name):
    config = load_config(f'mvlt/backbones/{name}')
    assert config.model.backbone.init_cfg.type.endswith('PretrainedImagePart')
    assert config.model.heads.mir is not None  # pyramid and single scale compare with MIR


def test_sizes_of_pvt_v2():
    """Its Table 1: B5 has narrower MLPs, B0 narrower stages."""
    b0 = PVTV2VL(arch='b0', **WORDS)
    assert b0.embed_dims == (32, 64, 160, 256)
    assert [len(stage.layers) for stage in b0.stages] == [2, 2, 2, 2]
    with torch.device('meta'):
        b5 = PVTV2VL(arch='b5', **WORDS)
    for stage, dims in zip(b5.stages, (64, 128, 320, 512)):
        assert stage.layers[0].mlp[0].out_features == 4 * dims
    assert [len(stage.layers) for stage in b5.stages] == [3, 6, 40, 3]


@pytest.mark.parametrize(
    ('arch', 'linear', 'millions'),
    [
        ('b0', False, 3.7),
        ('b1', False, 14.0),
        ('b2', False, 25.4),
        ('b2', True, 22.6),
        ('b3', False, 45.2),
        ('b4', False, 62.6),
        ('b5', False, 82.0),
    ],
)
def test_weights_of_pvt_v2(arch, linear, millions):
    """Its Table 1 counts them with a classifier of 1,000 classes."""
    with torch.device('meta'):
        model = PVTV2VL(arch=arch, linear=linear, **WORDS)
    image_part = sum(
        value.numel()
        for name, value in model.named_parameters()
        if not name.startswith('words.') and '.text.' not in name
    )
    classifier = 1000 * model.embed_dims[-1] + 1000
    assert round((image_part + classifier) / 1e6, 1) == millions
