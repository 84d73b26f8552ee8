"""Time and memory of a training step, estimated from its operations: the mode ``plan``.

A step of the config's recipe runs twice on this CPU, with two small batches. It counts every
operation (floating-point operations, bytes read and written) and the bytes that the backward pass
keeps. Both grow linearly with the batch. The time of an operation is the longer of its arithmetic
and its memory traffic: at measured rates for the CPU, at shares of the data sheet for a GPU.

Not counted: the loader, and waiting. The overhead beyond the operations on this CPU is measured
with one recipe and predicted for the others. Assumed for a GPU, not measured: 60 % of the
operations, 80 % of the bandwidth, 5 us an operation.
"""

import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from mvlt.config import heads_of, load_config
from mvlt.registry import MODELS
from mvlt.tools.benchmark import random_pairs

aten = torch.ops.aten
CONVOLUTION = {aten.convolution, aten.convolution_backward}
POINTWISE = {aten.gelu, aten.gelu_backward}  # on a CPU their time does not follow from bytes
COPY = {aten.clone, aten.copy_, aten._to_copy, aten.cat}
BATCHES = 2, 4  # batch sizes of the counted steps
# missing in PyTorch's registry: scaled_dot_product_attention on a CPU
ATTENTION: dict[Any, Callable[..., int]] = {
    aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *rest, **more: (
        sdpa_flop_count(q.shape, k.shape, v.shape)
    ),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda g, q, k, v, *rest, **more: (
        sdpa_backward_flop_count(g.shape, q.shape, k.shape, v.shape)
    ),
}


# rows, inputs and outputs of the MLPs of PVT-VL Tiny with eight images of 256 px
LAYERS = ((32768, 64, 512), (8512, 128, 1024), (2368, 320, 1280), (832, 512, 2048))
REACHED = 0.6  # share of a GPU's operations a second


class Device(NamedTuple):
    """Achieved rates, not those of a data sheet.

    Args:
        flops: of matrix products, dtype -> operations a second.
        bandwidth: bytes a second.
        start: minimum seconds of an operation.
        conv_flops: of convolutions; None = as for products.
        pointwise: bytes a second of GELU, forward and backward; None = bandwidth.
        strided: bytes a second of copies into another order; None = bandwidth.
        attention: operations a second of fused attention, forward and backward; None = as for
            products.
        memory: bytes; None = unknown.
        links: bytes a second between 8 devices of a node, and between nodes; None = one device.
    """

    flops: dict[str, float]
    bandwidth: float
    start: float = 0.0
    conv_flops: dict[str, float] | None = None
    pointwise: float | None = None
    strided: float | None = None
    attention: float | None = None
    memory: float | None = None
    links: tuple[float, float] | None = None


def of_data_sheet(
    bf16: float, fp32: float, bandwidth: float, memory: float, node: float, between: float
) -> Device:
    """Tera-operations, GB/s, GB, GB/s -> 60 % of the operations, 80 % of the rest."""
    flops = {'bf16': REACHED * 1e12 * bf16, 'fp32': REACHED * 1e12 * fp32}
    links = (0.8e9 * node, 0.8e9 * between)
    return Device(flops, 0.8e9 * bandwidth, start=5e-6, memory=1e9 * memory, links=links)


# dense operations, NVIDIA's data sheets; links one way; between nodes 400 Gbit/s a GPU (A100: 200)
GPUS = {
    'A100': of_data_sheet(312, 19.5, 2039, 80, 300, 25),
    'H100': of_data_sheet(989, 67, 3350, 80, 450, 50),
    'H200': of_data_sheet(989, 67, 4800, 141, 450, 50),
    'L4': of_data_sheet(121, 30.3, 300, 24, 32, 12.5),
}


class Count(NamedTuple):
    """One step: operation and dtype -> (floating-point operations, bytes, calls); bytes kept."""

    operations: dict[tuple[str, str], tuple[float, float, float]]
    kept: float
    weights: int


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        read = [
            tensor for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, torch.Tensor)
        ]
        written = [tensor for tensor in tree_leaves(result) if isinstance(tensor, torch.Tensor)]
        packet = func.overloadpacket
        if func.is_view or packet in (aten.detach, aten.empty, aten._unsafe_view):
            return result
        floating = [tensor.dtype for tensor in read if tensor.is_floating_point()]
        dtype = 'bf16' if torch.bfloat16 in floating else 'fp32'
        entry = self.operations[packet.__name__, dtype]
        if packet in ATTENTION:
            entry[0] += ATTENTION[packet](*args, **kwargs)
        elif packet in flop_registry:
            entry[0] += flop_registry[packet](*args, **kwargs, out_val=result)
        entry[1] += sum(tensor.numel() * tensor.element_size() for tensor in (*read, *written))
        entry[2] += 1
        return result


def count(config: Any, args: Any) -> Count:
    """Count one step of the config's recipe with ``args.batch`` pairs."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mvlt'):
        model = MODELS.build(config.model).train()
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
    batch = random_pairs(args, model, mask=True)
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        address = tensor.untyped_storage().data_ptr()
        if address not in weights:
            kept[address] = max(kept.get(address, 0), tensor.untyped_storage().nbytes())
        return tensor

    model.train_step(batch, wrapper)  # creates the optimizer's states
    with (
        _Counter() as counter,
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        model.train_step(batch, wrapper)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    operations = {
        key: (totals[0], totals[1], totals[2]) for key, totals in counter.operations.items()
    }
    return Count(operations, sum(kept.values()), trained)


def at_batch(counts: Sequence[Count], sizes: Sequence[int], batch: int) -> Count:
    """The count at another batch size, on the line through two counts."""
    few, more = counts
    share = (batch - sizes[0]) / (sizes[1] - sizes[0])

    def along(before: float, after: float) -> float:
        return max(0.0, before + share * (after - before))

    names = few.operations.keys() | more.operations.keys()
    nothing = (0.0, 0.0, 0.0)
    operations = {
        name: tuple(
            map(along, few.operations.get(name, nothing), more.operations.get(name, nothing))
        )
        for name in names
    }
    return Count(operations, along(few.kept, more.kept), few.weights)  # type: ignore[arg-type]


def seconds(step: Count, device: Device) -> float:
    """Seconds of one step on one device, the sum over its operations."""
    total = 0.0
    rates: dict[str, float | None] = {
        **{packet.__name__: device.pointwise for packet in POINTWISE},
        **{packet.__name__: device.strided for packet in COPY},
    }
    convolutions = {packet.__name__ for packet in CONVOLUTION}
    attention = {packet.__name__ for packet in ATTENTION}
    for (name, dtype), (flops, moved, calls) in step.operations.items():
        speed = ((device.conv_flops if name in convolutions else None) or device.flops)[dtype]
        speed = (device.attention if name in attention else None) or speed
        total += max(
            flops / speed, moved / (rates.get(name) or device.bandwidth), calls * device.start
        )
    return total


def held(step: Count) -> float:
    """Bytes of weights, gradients, AdamW's two moments (float32) and kept activations."""
    return 16.0 * step.weights + step.kept


def sent(step: Count, device: Device, devices: int) -> float:
    """Seconds of an all-reduce of the gradients, 8 devices a node, without overlap."""
    if devices == 1 or device.links is None:
        return 0.0
    link = device.links[0] if devices <= 8 else device.links[1]
    return 2 * (devices - 1) / devices * 4 * step.weights / link


def this_cpu() -> Device:
    """Measured rates: products and convolutions of the layers' shapes, a sum, GELU, a tiny sum."""
    flops, convolutions = {}, {}
    for name, dtype in (('fp32', torch.float32), ('bf16', torch.bfloat16)):
        work = spent = 0.0
        for rows, inputs, outputs in LAYERS:
            x, w = torch.randn(rows, inputs, dtype=dtype), torch.randn(outputs, inputs, dtype=dtype)
            g = torch.randn(rows, outputs, dtype=dtype)
            for left, right in ((x, w.T), (g, w), (g.T, x)):  # forward, and both gradients
                work += 2 * rows * inputs * outputs
                spent += _typical(partial(torch.mm, left, right))
        flops[name] = work / spent
        image = torch.randn(4, 64, 64, 64, dtype=dtype)
        weight = torch.randn(64, 64, 3, 3, dtype=dtype)
        run = partial(functional.conv2d, image, weight, padding=1)
        convolutions[name] = 2 * image.numel() * weight.numel() / len(weight) / _typical(run)
    many, few = torch.randn(32 * 2**20), torch.randn(8)  # larger than caches
    nbytes = many.numel() * many.element_size()
    return Device(
        flops,
        bandwidth=3 * nbytes / _typical(partial(torch.add, many, many)),
        start=_typical(partial(torch.add, few, few), times=1000),
        conv_flops=convolutions,
        pointwise=5 * nbytes / _typical(partial(_back, functional.gelu, many)),
        strided=2 * nbytes / _typical(many.view(8, 4096, -1).transpose(1, 2).contiguous),
        attention=_attention(),
    )


def _back(compute: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> None:
    """Forward and backward."""
    inputs = tuple(tensor.detach().requires_grad_() for tensor in inputs)
    compute(*inputs).backward(torch.empty(1).expand_as(inputs[0]))


def _attention() -> float:
    """Rate of attention in the first stage: 4,136 queries, 104 keys."""
    asking, asked = torch.randn(8, 1, 4136, 64), torch.randn(8, 1, 104, 64)
    work = sdpa_flop_count(asking.shape, asked.shape, asked.shape)
    work += sdpa_backward_flop_count(asking.shape, asking.shape, asked.shape, asked.shape)
    run = partial(_back, functional.scaled_dot_product_attention, asking, asked, asked)
    return work / _typical(run)


def _typical(run: Callable[[], Any], times: int = 7) -> float:
    """Seconds, the median."""
    run()
    durations = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def plan(recipes: dict[str, tuple[int, int, int]], args: Any, measure: Callable) -> list[str]:
    """Tables: this CPU in float32, predicted and measured; GPUs in bf16, predicted.

    Args:
        recipes: config -> pairs a GPU, image side, tokens.
        args: of tools/benchmark.py; this function sets batch, size and words.
        measure: (config, args) -> seconds of a step on this CPU.
    """
    checked = [
        '| recipe | batch | operations, s | predicted, s | measured, s | ratio |',
        '|---|---|---|---|---|---|',
    ]
    beyond = None
    planned = [
        '| recipe | GPU | pairs a GPU | step, ms, 1 GPU | 8 GPUs | 64 GPUs | holds, GB | '
        'share of peak |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for path, (batch, args.size, args.words) in recipes.items():
        name = path.removeprefix('configs/').removesuffix('.py')
        options = {'model.backbone.init_cfg': None, 'model.backbone.image_size': args.size}
        for name, head in heads_of(load_config(path).model).items():
            if head.get('num_classes') == 'data':
                options[f'model.heads.{name}.num_classes'] = 40
        config = load_config(path, options)
        step, args.batch = _counted(config, args, 8 if args.size > 128 else batch)
        cpu = this_cpu()  # measured each time: other programs come and go
        alone, measured = seconds(step, cpu), measure(config, args)
        beyond = beyond or measured / alone
        checked.append(
            f'| {name} | {args.batch} | {alone:.2f} | {beyond * alone:.2f} | {measured:.2f} | '
            f'{beyond * alone / measured:.2f} |'
        )
        print(checked[-1], flush=True)
        config = load_config(path, {**options, 'optim_wrapper.type': 'BFloat16OptimWrapper'})
        step, _ = _counted(config, args, batch)
        work = sum(flops for flops, _, _ in step.operations.values())
        for kind, gpu in GPUS.items():
            alone = seconds(step, gpu)
            times = [1e3 * (alone + sent(step, gpu, many)) for many in (1, 8, 64)]
            fits = '' if held(step) < (gpu.memory or math.inf) else ' (too much)'
            share = 100 * REACHED * work / gpu.flops['bf16'] / alone
            planned.append(
                f'| {name} | {kind} | {batch} | '
                + ' | '.join(f'{milliseconds:.0f}' for milliseconds in times)
                + f' | {held(step) / 1e9:.1f}{fits} | {share:.0f} % |'
            )
    products, convolutions = (
        ' and '.join(f'{speeds[dtype] / 1e9:.0f}' for dtype in ('fp32', 'bf16'))
        for speeds in (cpu.flops, cpu.conv_flops or cpu.flops)
    )
    rates = [
        f'This CPU, measured last, GFLOP/s in float32 and bf16: products {products}, convolutions '
        f'{convolutions}; GB/s: sums {cpu.bandwidth / 1e9:.1f}, GELU '
        f'{(cpu.pointwise or 0) / 1e9:.1f}; an operation takes at least {cpu.start * 1e6:.1f} us.'
    ]
    told = (
        'This CPU, float32. A step also allocates memory and waits for threads: a factor of '
        f'{beyond or 1:.2f}, measured with the first recipe (its ratio is 1 by construction) and '
        'predicted for the others.'
    )
    gpus = (
        'GPUs, bf16, not measured. Assumed: 60 % of the operations and 80 % of the bandwidth of '
        'the data sheets, 5 us an operation, gradients sent after the step.'
    )
    return [*rates, '', told, '', *checked, '', gpus, '', *planned]


def _counted(config: Any, args: Any, batch: int) -> tuple[Count, int]:
    counts = []
    for args.batch in BATCHES:
        counts.append(count(config, args))
    return at_batch(counts, BATCHES, batch), batch
