"""The released network as plain formulas, with its weight names.

It makes random weights of any size in the released layout and computes the released network's
outputs without its code. It agrees with outputs of the released network (test_weight_names.py, if
they are at hand).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Sizes:
    """Hyper-parameters, which decide names and shapes of the weights."""

    image_size: int = 64
    context_length: int = 10
    vocab_size: int = 60
    dims: tuple[int, ...] = (8, 16, 24, 32)
    depths: tuple[int, ...] = (1, 2, 1, 1)
    heads: tuple[int, ...] = (1, 2, 3, 4)
    ratios: tuple[int, ...] = (8, 8, 4, 4)
    reductions: tuple[int, ...] = (8, 4, 2, 1)
    words: int = 20
    decoder: int = 64
    classes: tuple[int, int] = (5, 7)


def draw_weights(sizes: Sizes, seed: int) -> dict[str, Tensor]:
    """Random tensors with the released names, also for norms and running statistics."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}

    def put(name: str, *shape: int, around: float = 0.0) -> None:
        fan_in = max(1, torch.Size(shape[1:]).numel())
        values = torch.randn(shape, generator=generator) / fan_in**0.5
        state[name] = around + 0.3 * values if around else values

    def linear(name: str, outputs: int, inputs: int) -> None:
        put(f'{name}.weight', outputs, inputs)
        put(f'{name}.bias', outputs)

    def conv(name: str, outputs: int, inputs: int, side: int) -> None:
        put(f'{name}.weight', outputs, inputs, side, side)
        put(f'{name}.bias', outputs)

    def norm(name: str, dims: int) -> None:
        put(f'{name}.weight', dims, around=1.0)
        put(f'{name}.bias', dims)

    for table, rows in (('word', sizes.vocab_size), ('position', 512), ('token_type', 2)):
        put(f'text_embeddings.{table}_embeddings.weight', rows, sizes.words)
    norm('text_embeddings.LayerNorm', sizes.words)
    image_dims, text_dims, side = 3, sizes.words, sizes.image_size
    for i, dims in enumerate(sizes.dims):
        k, patch = i + 1, 4 if i == 0 else 2
        side //= patch
        conv(f'patch_embed{k}.proj', dims, image_dims, patch)
        norm(f'patch_embed{k}.norm', dims)
        put(f'pos_embed{k}', 1, side * side + (k == 4), dims)
        linear(f'text_embed{k}.0', dims, text_dims)
        norm(f'text_embed{k}.1', dims)
        put(f'text_pos_embed{k}', 1, sizes.context_length, dims)
        for j in range(sizes.depths[i]):
            block = f'block{k}.{j}'
            norm(f'{block}.norm1', dims)
            norm(f'{block}.norm2', dims)
            linear(f'{block}.attn.q', dims, dims)
            linear(f'{block}.attn.kv', 2 * dims, dims)
            linear(f'{block}.attn.proj', dims, dims)
            if sizes.reductions[i] > 1:
                conv(f'{block}.attn.sr', dims, dims, sizes.reductions[i])
                norm(f'{block}.attn.norm', dims)
            linear(f'{block}.mlp.fc1', sizes.ratios[i] * dims, dims)
            linear(f'{block}.mlp.fc2', dims, sizes.ratios[i] * dims)
        image_dims = text_dims = dims
    for head, classes in zip(('itm', 'sup_cls', 'sub_cls'), (2, *sizes.classes)):
        linear(f'{head}_head_embed.0', sizes.words, sizes.dims[-1])
        norm(f'{head}_head_embed.1', sizes.words)
        linear(f'{head}_head.linear', classes, sizes.words)
        put(f'{head}_head.linear_bias', classes)
    linear('mlm_head_embed.0', sizes.words, sizes.dims[-1])
    norm('mlm_head_embed.1', sizes.words)
    linear('mlm_head.transform.dense', sizes.words, sizes.words)
    norm('mlm_head.transform.LayerNorm', sizes.words)
    put('mlm_head.bias', sizes.vocab_size)
    state['mlm_head.mlm_decoder.weight'] = state['text_embeddings.word_embeddings.weight'].clone()
    width = sizes.decoder
    for name, outputs, inputs in (
        ('reduction1', width, sizes.dims[1]),
        ('reduction2', width, sizes.dims[2]),
        ('reduction3', width, sizes.dims[3]),
        *((f'conv_upsample{i}', width, width) for i in (1, 2, 3, 4)),
        ('conv_upsample5', 2 * width, 2 * width),
        ('conv_concat2', 2 * width, 2 * width),
        ('conv_concat3', 3 * width, 3 * width),
        ('conv4', 3 * width, 3 * width),
    ):
        put(f't2i_head.{name}.0.weight', outputs, inputs, 3, 3)
        norm(f't2i_head.{name}.1', outputs)
        put(f't2i_head.{name}.1.running_mean', outputs)
        state[f't2i_head.{name}.1.running_var'] = 0.5 + torch.rand(outputs, generator=generator)
    conv('t2i_head.score.0', 3, 3 * width, 1)
    return state


def run(sizes: Sizes, state: dict[str, Tensor], image: Tensor, ids: Tensor) -> dict[str, Tensor]:
    """Image (B, 3, H, W) and token ids (B, T) -> every output of the released network in eval mode.

    [PAD] is attended to (fidelity point 13).
    """

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ state[f'{name}.weight'].T + state[f'{name}.bias']

    def norm(name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        scaled = (x - mean) / (variance + eps).sqrt()
        return scaled * state[f'{name}.weight'] + state[f'{name}.bias']

    def conv(name: str, x: Tensor, stride: int) -> Tensor:
        return F.conv2d(x, state[f'{name}.weight'], state[f'{name}.bias'], stride)

    def attention(name: str, x: Tensor, side: int, heads: int, reduction: int) -> Tensor:
        source, cells = x, side * side
        if reduction > 1:
            square = x[:, :cells].transpose(1, 2).reshape(len(x), -1, side, side)
            small = conv(f'{name}.sr', square, reduction).flatten(2).transpose(1, 2)
            source = torch.cat((norm(f'{name}.norm', small), x[:, cells:]), 1)
        queries = linear(f'{name}.q', x)
        keys, values = linear(f'{name}.kv', source).chunk(2, -1)
        out = []
        for q, k, v in zip(*(part.chunk(heads, -1) for part in (queries, keys, values))):
            out.append((q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v)
        return linear(f'{name}.proj', torch.cat(out, -1))

    embeddings = 'text_embeddings.{}_embeddings.weight'
    text = (
        state[embeddings.format('word')][ids]
        + state[embeddings.format('position')][: ids.shape[1]]
        + state[embeddings.format('token_type')][0]
    )
    text = norm('text_embeddings.LayerNorm', text, 1e-12)
    outputs: dict[str, Tensor] = {}
    maps = []
    for i in range(4):
        k = i + 1
        image = conv(f'patch_embed{k}.proj', image, 4 if i == 0 else 2)
        side = image.shape[-1]
        positions = state[f'pos_embed{k}'][:, -side * side :]
        tokens = norm(f'patch_embed{k}.norm', image.flatten(2).transpose(1, 2)) + positions
        words = norm(f'text_embed{k}.1', linear(f'text_embed{k}.0', text))
        x = torch.cat((tokens, words + state[f'text_pos_embed{k}']), 1)
        for j in range(sizes.depths[i]):
            name = f'block{k}.{j}'
            inside = norm(f'{name}.norm1', x, 1e-6)
            x = x + attention(f'{name}.attn', inside, side, sizes.heads[i], sizes.reductions[i])
            hidden = F.gelu(linear(f'{name}.mlp.fc1', norm(f'{name}.norm2', x, 1e-6)))
            x = x + linear(f'{name}.mlp.fc2', hidden)
        image = x[:, : side * side].transpose(1, 2).reshape(len(x), -1, side, side)
        text = x[:, side * side :]
        maps.append(image)
        outputs[f'image_feat{k}'], outputs[f'text_feat{k}'] = image, text
    for head in ('itm', 'sup_cls', 'sub_cls'):
        inside = norm(f'{head}_head_embed.1', linear(f'{head}_head_embed.0', text[:, 0]))
        outputs[f'{head}_logits'] = (
            linear(f'{head}_head.linear', inside) + state[f'{head}_head.linear_bias']
        )
    inside = norm('mlm_head_embed.1', linear('mlm_head_embed.0', text))
    inside = F.gelu(linear('mlm_head.transform.dense', inside))
    inside = norm('mlm_head.transform.LayerNorm', inside)
    outputs['mlm_logits'] = inside @ state['mlm_head.mlm_decoder.weight'].T + state['mlm_head.bias']
    outputs['t2i_logits'] = _decode(state, maps[1:])
    return outputs


def _decode(state: dict[str, Tensor], maps: list[Tensor]) -> Tensor:
    """The partial decoder over stages 2, 3, 4, with one colour a cell upsampled by 8."""

    def unit(name: str, x: Tensor) -> Tensor:
        x = F.conv2d(x, state[f't2i_head.{name}.0.weight'], padding=1)
        mean, var, weight, bias = (
            state[f't2i_head.{name}.1.{part}'][:, None, None]
            for part in ('running_mean', 'running_var', 'weight', 'bias')
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def up(x: Tensor, factor: int = 2) -> Tensor:
        return F.interpolate(x, scale_factor=factor, mode='bilinear', align_corners=True)

    low, mid, high = (unit(f'reduction{i + 1}', x) for i, x in enumerate(maps))
    mid_gated = unit('conv_upsample1', up(high)) * mid
    low_gated = unit('conv_upsample2', up(mid)) * unit('conv_upsample3', up(mid_gated)) * low
    mid_joined = unit('conv_concat2', torch.cat((mid_gated, unit('conv_upsample4', up(high))), 1))
    low_joined = unit(
        'conv_concat3', torch.cat((low_gated, unit('conv_upsample5', up(mid_joined))), 1)
    )
    smooth = unit('conv4', low_joined)
    score = F.conv2d(smooth, state['t2i_head.score.0.weight'], state['t2i_head.score.0.bias'])
    return up(score, 8)
