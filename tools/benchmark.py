"""Measure speed and memory; one JSON line a job.

    tools/benchmark.py train --batch 8 --dtype bf16
    tools/benchmark.py score --batch 101 --dtype bf16 --against OTHER.py
    tools/benchmark.py retrieve --images FOLDER --queries 10
    tools/benchmark.py data --images FOLDER --workers 2
    tools/benchmark.py model

train: pre-training steps of the config's model on random images and captions of 40 tokens.
score: matching probabilities of pairs. retrieve: 101 candidates a query, from JPEG files to ranks.
data: the training pipeline alone, from JPEG files to batches. model: parameters and GFLOP by part.

--against alternates with another script (A B A B) that takes the same job and options and prints
such a JSON line, and prints the ratio with its spread. Times are medians of several steps after
warm-up; the device is synchronised around each step.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import turn_on_activation_checkpointing
from torch.utils.data import DataLoader, Dataset

from mvlt.config import load_config
from mvlt.evaluation.functional import pessimistic_rank
from mvlt.registry import MODELS, TRANSFORMS
from mvlt.retrieval.scorer import PairScorer
from mvlt.structures import PairDataSample
from mvlt.tools.command_line import run_command

CONFIG = 'configs/mvlt/pretrain_fashiongen.py'
WORDS = 40  # tokens of a caption; Fashion-Gen's mean is 49
DTYPES = dict(fp32=None, bf16='bfloat16', fp16='float16')


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('job', choices=JOBS)
    parser.add_argument('--config', default=CONFIG, help='its model and optimizer are measured')
    parser.add_argument('--batch', type=int, default=8, help='pairs at once')
    parser.add_argument('--steps', type=int, default=5)
    parser.add_argument('--warmup', type=int, default=2)
    parser.add_argument('--size', type=int, default=256, help='image side, pixels')
    parser.add_argument('--words', type=int, default=WORDS, help='tokens of a caption')
    parser.add_argument('--arch', help='model.backbone.arch: tiny, small, medium or large')
    parser.add_argument('--dtype', choices=DTYPES, default='bf16')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--images', type=Path, help='retrieve, data: a folder of JPEG files')
    parser.add_argument('--queries', type=int, default=20)
    parser.add_argument('--workers', type=int, default=0, help='data loading processes')
    parser.add_argument(
        '--checkpointing', action='store_true', help='train: activation checkpointing of layers'
    )
    parser.add_argument('--against', type=Path, help='another script, run alternately')
    parser.add_argument(
        '--against-options', default='', help='further options of that script, e.g. --queries'
    )
    parser.add_argument('--rounds', type=int, default=3, help='with --against: pairs of runs')
    args = parser.parse_args()
    if args.job in ('retrieve', 'data') and args.images is None:
        raise ValueError(f'{args.job} needs --images, a folder of JPEG files')
    result = in_turn(args) if args.against else JOBS[args.job](args)
    print(json.dumps(result))


def train(args: argparse.Namespace) -> dict[str, Any]:
    """Steps of the config's own recipe: preprocess, forward, losses, backward, update."""
    bf16 = {'optim_wrapper.type': 'BFloat16OptimWrapper'} if args.dtype == 'bf16' else {}
    config = _config(args, bf16)
    return _result(args, timed(training_step(config, args), args), args.batch)


def training_step(config: Any, args: argparse.Namespace) -> Callable[[], Any]:
    """A step of a config's recipe on random pairs."""
    model = _model(config, args).train()
    if getattr(args, 'checkpointing', False):
        layers = [
            f'backbone.stages.{i}.layers.{j}'
            for i, stage in enumerate(model.backbone.stages)
            for j in range(len(stage.layers))
        ]
        turn_on_activation_checkpointing(model, layers)
    with DefaultScope.overwrite_default_scope('mvlt'):
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
    batch = random_pairs(args, model, mask=True)
    return lambda: model.train_step(batch, wrapper)


def score(args: argparse.Namespace) -> dict[str, Any]:
    """Matching probabilities of pairs of decoded images."""
    scorer = _scorer(args)
    batch = random_pairs(args, scorer.model, mask=False)['inputs']
    images = torch.stack(batch['image'])
    return _result(args, timed(lambda: scorer.match(images, batch['token_ids']), args), args.batch)


def retrieve(args: argparse.Namespace) -> dict[str, Any]:
    """A caption ranks 101 images drawn from a folder; each image is decoded once."""
    files = sorted(args.images.glob('*.jpg'))
    if not files:
        raise FileNotFoundError(f'{args.images}: no .jpg file in it')
    draw = random.Random(0)
    lists = [draw.choices(range(len(files)), k=101) for _ in range(args.queries)]
    rows = sorted({row for candidates in lists for row in candidates})
    dataset = _Images(files, args.size)
    scorer = _scorer(args, DataLoader(dataset, batch_size=32, num_workers=args.workers))
    texts = [
        torch.randint(1000, _vocabulary(scorer.model), (args.words,)) for _ in range(args.queries)
    ]

    def run() -> None:
        images = {row: image for row, (image, _) in zip(rows, scorer.read(rows))}
        pairs = np.array(
            [(row, query) for query, candidates in enumerate(lists) for row in candidates]
        )
        scores = scorer.score(pairs, images, texts).reshape(args.queries, 101)
        for query_scores in scores:
            pessimistic_rank(query_scores, np.arange(101) == 0)

    scorer.score(
        np.array([(rows[0], 0)] * 8), {rows[0]: dataset[rows[0]]['inputs']['image']}, texts
    )
    args.warmup, args.steps = 0, 1
    return _result(args, timed(run, args), args.queries, 'queries_per_s')


def data(args: argparse.Namespace) -> dict[str, Any]:
    """Batches from JPEG files: the config's image transforms, masks and packing."""
    files = sorted(args.images.glob('*.jpg'))[: args.batch * (args.steps + args.warmup + 4)]
    loader = DataLoader(
        _Images(files, args.size, mask=True),
        batch_size=args.batch,
        num_workers=args.workers,
        collate_fn=pseudo_collate,
        drop_last=True,
    )
    batches = iter(loader)
    return _result(args, timed(lambda: next(batches), args), args.batch)


def model(args: argparse.Namespace) -> dict[str, Any]:
    """Parameters, and GFLOP of a pair's forward pass, by part."""
    from torch.utils.flop_counter import FlopCounterMode

    built = _model(_config(args), args).eval()
    batch = random_pairs(args, built, mask=True)
    encoder = built.backbone  # the counter tells parts apart where modules are called
    encoder.forward, encoder.encode_pair = encoder.encode_pair, encoder.__call__
    # with gradients: the counter needs them to tell the parts apart
    with FlopCounterMode(display=False, depth=4) as counter:
        built.loss(**built.data_preprocessor(batch))
    counts = counter.get_flop_counts()
    total = sum(counts['Global'].values())
    backbone = type(built.backbone).__name__
    # part -> module, and its name in the counter
    parts: dict[str, tuple[Any, str]] = {
        f'backbone.stages.{i}': (stage, f'{backbone}.stages.{i}')
        for i, stage in enumerate(built.backbone.stages)
    }
    for name, part in built.named_children():
        if name == 'neck':
            parts[name] = (part, type(part).__name__)
    for name, part in built.heads.items():
        parts[f'heads.{name}'] = (part, type(part).__name__)
    flops = {part: sum(counts.get(known, {}).values()) for part, (_, known) in parts.items()}
    return dict(
        job='model',
        config=args.config,
        size=args.size,
        words=args.words,
        parameters={
            'total': sum(p.numel() for p in built.parameters()),
            'backbone.words': sum(p.numel() for p in built.backbone.words.parameters()),
            **{
                part: sum(p.numel() for p in module.parameters())
                for part, (module, _) in parts.items()
            },
        },
        gflop_per_pair={
            'total': round(total / args.batch / 1e9, 3),
            **{part: round(count / args.batch / 1e9, 3) for part, count in flops.items() if count},
        },
    )


JOBS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = dict(
    train=train, score=score, retrieve=retrieve, data=data, model=model
)


def in_turn(args: argparse.Namespace) -> dict[str, Any]:
    """Ours and another script in turn; ratios of throughput and peak memory a round."""
    shared = ['--batch', args.batch, '--steps', args.steps, '--warmup', args.warmup]
    shared += ['--size', args.size, '--dtype', args.dtype, '--device', args.device]
    if args.images:
        shared += ['--images', args.images]
    our_options = ['--config', args.config, '--words', args.words, '--workers', args.workers]
    if args.checkpointing:
        our_options += ['--checkpointing']
    if args.arch:
        our_options += ['--arch', args.arch]
    queries = ['--queries', args.queries]
    runs = []
    for _ in range(args.rounds):
        ours = _run(__file__, args.job, *shared, *queries, *our_options)
        theirs = _run(args.against, args.job, *shared, *queries, *args.against_options.split())
        runs.append((ours, theirs))
    unit = next(key for key in runs[0][0] if key.endswith('_per_s'))
    speed = [ours[unit] / theirs[unit] for ours, theirs in runs]
    memory = [ours['peak_memory_bytes'] / theirs['peak_memory_bytes'] for ours, theirs in runs]
    return dict(
        job=args.job,
        against=args.against.name,
        dtype=args.dtype,
        device=args.device,
        batch=args.batch,
        size=args.size,
        config=args.config,
        checkpointing=args.checkpointing,
        rounds=args.rounds,
        **{
            unit: [round(statistics.median(run[side][unit] for run in runs), 3) for side in (0, 1)],
            'speed_ratio': _spread(speed),
            'peak_memory_ratio': _spread(memory),
        },
    )


def _run(script: str | Path, *options: Any) -> dict[str, Any]:
    command = [sys.executable, str(script), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f'{" ".join(command)} failed: {done.stderr.strip()[-1500:]}')
    return json.loads(done.stdout.strip().splitlines()[-1])


def _spread(values: list[float]) -> dict[str, float]:
    return dict(
        median=round(statistics.median(values), 2),
        least=round(min(values), 2),
        most=round(max(values), 2),
    )


def timed(step: Callable[[], Any], args: argparse.Namespace) -> list[float]:
    """Seconds of each step after warm-up."""
    synchronise = torch.cuda.synchronize if args.device.startswith('cuda') else lambda: None
    for _ in range(args.warmup):
        step()
    synchronise()
    seconds = []
    for _ in range(args.steps):
        started = time.perf_counter()
        step()
        synchronise()
        seconds.append(time.perf_counter() - started)
    return seconds


def _result(
    args: argparse.Namespace, seconds: list[float], count: int, unit: str = 'pairs_per_s'
) -> dict[str, Any]:
    peak = (
        torch.cuda.max_memory_allocated()
        if args.device.startswith('cuda')
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return {
        'job': args.job,
        'device': args.device,
        'dtype': args.dtype,
        'batch': args.batch,
        'size': args.size,
        'words': args.words,
        'config': args.config,
        unit: round(count / statistics.median(seconds), 3),
        'seconds': [round(value, 4) for value in seconds],
        'peak_memory_bytes': peak,
    }


def _config(args: argparse.Namespace, options: dict[str, Any] | None = None) -> Any:
    sizes = {'model.backbone.init_cfg': None, 'model.backbone.image_size': args.size}
    if args.arch:
        sizes['model.backbone.arch'] = args.arch
    return load_config(args.config, {**sizes, **(options or {})})


def _model(config: Any, args: argparse.Namespace) -> Any:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mvlt'):
        return MODELS.build(config.model).to(args.device)


def _scorer(args: argparse.Namespace, loader: Any = None) -> PairScorer:
    others = [name for name in _config(args).model.heads if name != 'itm']
    without = {f'model.heads.{name}': None for name in others}
    model = _model(_config(args, {'model.neck': None, **without}), args).eval()
    return PairScorer(model, loader, args.batch, DTYPES[args.dtype])


def random_pairs(args: argparse.Namespace, model: Any, mask: bool) -> dict[str, Any]:
    """A collated batch: noise images, random tokens; half of the pairs match."""
    images = [
        torch.randint(0, 256, (3, args.size, args.size), dtype=torch.uint8)
        for _ in range(args.batch)
    ]
    texts = [torch.randint(1000, _vocabulary(model), (args.words,)) for _ in range(args.batch)]
    samples = []
    for number, text in enumerate(texts):
        sample = PairDataSample(metainfo=dict(product_id=str(number), caption=str(number)))
        sample.matched = number % 2
        sample.main_category = sample.sub_category = number % 2
        if mask:
            sample.image_mask = torch.rand(args.size // 16, args.size // 16) < 0.5
            hidden = torch.rand(args.words) < 0.15
            hidden[1] = True
            sample.mlm_labels = torch.where(hidden, text, -1)
        samples.append(sample)
    return dict(inputs=dict(image=images, token_ids=texts), data_samples=samples)


def _vocabulary(model: Any) -> int:
    return len(model.token_embedding)


class _Images(Dataset):
    """JPEG files through the transforms of pre-training, all with the same caption."""

    def __init__(self, files: list[Path], size: int, mask: bool = False) -> None:
        self.files = files
        steps = [
            dict(type='LoadImage'),
            dict(type='Resize', scale=(size, size), keep_ratio=False, backend='pillow'),
            *([dict(type='RandomGridMask', ratio=0.5, alpha=4)] if mask else []),
            dict(type='PackPairInputs'),
        ]
        with DefaultScope.overwrite_default_scope('mvlt'):
            self.transforms = [TRANSFORMS.build(step) for step in steps]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> dict[str, Any]:
        results: Any = dict(img_path=str(self.files[row]), token_ids=np.arange(WORDS))
        for transform in self.transforms:
            results = transform(results)
        return results


if __name__ == '__main__':
    run_command(main)
