"""Export a model for other runtimes, and compare their outputs.

    tools/export.py MY_MODEL exported --pairs MY_CATALOGUE/products.csv

For each task of the model it writes ``image_encoder.onnx`` and ``text_encoder.onnx`` (embeddings of
length 1, whose product is the similarity), ``matching.onnx``, ``recognition.onnx`` and
``completion.onnx``, with dynamic batch and text length; ``*.int8.onnx`` (dynamic quantisation) and
``*.pt2`` (torch.export). It runs them on real pairs and prints the comparison. Inputs are those of
the model's pipeline: pixels uint8 (B, 3, H, W), token ids int64 (B, T) padded with [PAD].
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mvlt.checkpoints.description import ModelDescription
from mvlt.checkpoints.loading import OpenedModel, open_model, read_trained
from mvlt.datasets import PackPairInputs, Pipeline, draw_candidates
from mvlt.files import write_json
from mvlt.models import MVLT, Features
from mvlt.registry import MODELS
from mvlt.retrieval.ranking import rank
from mvlt.retrieval.records import Records
from mvlt.tools.command_line import run_command

PARITY = 1e-4


class Matching(nn.Module):
    """Pixels and token ids -> ``itm_logits`` for ranking and ``itm_score``, float32 (B,)."""

    inputs: tuple[str, ...] = ('pixels', 'token_ids')
    outputs: tuple[str, ...] = ('itm_logits', 'itm_score')

    @staticmethod
    def heads(description: ModelDescription) -> list[str]:
        """Names of the heads that it runs; empty if the model lacks them."""
        return description.that_give('match')

    def __init__(self, model: MVLT) -> None:
        super().__init__()
        self.model = model
        self.preprocessor: Any = model.data_preprocessor

    def text_mask(self, token_ids: torch.Tensor) -> torch.Tensor | None:
        """A mask even without [PAD]: the graph must not depend on it."""
        return None if self.preprocessor.attend_pad else token_ids != self.preprocessor.pad_id

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Uint8 -> input of the encoder, float32 (B, 3, H, W)."""
        return (pixels.float() / 255 - self.preprocessor.mean) / self.preprocessor.std

    def cls(self, pixels: torch.Tensor, token_ids: torch.Tensor) -> torch.Tensor:
        """[CLS] of the last stage, (B, C)."""
        image, mask = self.normalised(pixels), self.text_mask(token_ids)
        return self.model.backbone.encode_pair(image, token_ids, mask, cls_only=True).texts[-1][
            :, 0
        ]

    def forward(self, pixels: torch.Tensor, token_ids: torch.Tensor) -> Any:
        """See the class."""
        itm_logits = self.model.head_that('match').itm_logits(cls=self.cls(pixels, token_ids))
        return itm_logits, itm_logits.sigmoid()


class ImageTower(Matching):
    """Pixels -> image embeddings, float32 (B, D) of length 1."""

    inputs = ('pixels',)
    outputs = ('image_embeds',)

    @staticmethod
    def heads(description: ModelDescription) -> list[str]:
        """The head that gives embeddings."""
        return description.that_give('embedding')

    def forward(self, pixels: torch.Tensor) -> Any:  # type: ignore[override]
        """See the class."""
        return self.model.image_embeds(self.normalised(pixels))


class TextTower(ImageTower):
    """Token ids -> text embeddings, float32 (B, D) of length 1."""

    inputs = ('token_ids',)
    outputs = ('text_embeds',)

    def forward(self, token_ids: torch.Tensor) -> Any:  # type: ignore[override]
        """See the class."""
        return self.model.text_embeds(token_ids, self.text_mask(token_ids))


class Recognition(Matching):
    """Pixels and token ids -> probabilities float32 (B, classes) of each category head.

    Heads on the image alone ignore the token ids.
    """

    @staticmethod
    def heads(description: ModelDescription) -> list[str]:
        """The category heads on [CLS] or on the image alone."""
        heads = description.heads
        kinds = {name: MODELS.get(heads[name]['type']) for name in description.categories}
        return [name for name, kind in kinds.items() if hasattr(kind, 'read')]

    def __init__(self, model: MVLT) -> None:
        super().__init__(model)
        self.outputs = tuple(model.heads)

    def forward(self, pixels: torch.Tensor, token_ids: torch.Tensor) -> Any:
        """See the class."""
        read = dict(image=self.normalised(pixels), token_ids=token_ids)
        features = Features(self.model, dict(read, text_mask=self.text_mask(token_ids)), True)
        heads: Any = self.model.heads
        return tuple(
            heads[name](cls=heads[name].read(features)).float().softmax(-1) for name in self.outputs
        )


class Completion(Matching):
    """Pixels, token ids, mask bool (B, 1, H, W) -> image float32 (B, 3, H, W)."""

    inputs = ('pixels', 'token_ids', 'hidden')
    outputs = ('reconstruction',)

    @staticmethod
    def heads(description: ModelDescription) -> list[str]:
        """The head that reconstructs images."""
        return description.reconstructing[:1]

    def forward(  # type: ignore[override]
        self, pixels: torch.Tensor, token_ids: torch.Tensor, hidden: torch.Tensor
    ) -> Any:
        """See the class."""
        image = pixels.float() / 255
        image = torch.where(hidden, torch.full_like(image, self.preprocessor.mask_fill), image)
        image = (image - self.preprocessor.mean) / self.preprocessor.std
        images, _ = self.model.backbone.encode_pair(image, token_ids, self.text_mask(token_ids))
        (head,) = self.model.heads.values()
        return head(decoded=self.model.neck(images)).float().clamp(0, 1)


TASKS: dict[str, type[Matching]] = dict(
    image_encoder=ImageTower,
    text_encoder=TextTower,
    matching=Matching,
    recognition=Recognition,
    completion=Completion,
)
Run = Callable[[Mapping[str, np.ndarray]], list[np.ndarray]]


def main() -> None:
    """Parse, export, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'model', help='a folder of tools/model_converters/publish.py, or a checkpoint'
    )
    parser.add_argument('out', type=Path, help='folder for the exported files')
    parser.add_argument(
        '--pairs', required=True, help='catalogue (CSV, Parquet) with at least 2 products'
    )
    parser.add_argument('--tasks', nargs='+', choices=TASKS, help='default: all tasks of the model')
    parser.add_argument('--count', type=int, default=50, help='number of pairs to compare')
    parser.add_argument(
        '--queries', type=int, default=100, help='number of queries for R@1 of 101; 0 = skip'
    )
    parser.add_argument('--seconds', type=float, default=3, help='how long each file is timed')
    args = parser.parse_args()
    if args.count < 2:
        raise ValueError(f'--count {args.count}: give 2 or more, for a dynamic batch')
    description = read_trained(args.model).description
    able = [name for name, kind in TASKS.items() if kind.heads(description)]
    for task in set(args.tasks or ()) - set(able):
        raise ValueError(description.lacks(f'head for {task}'))
    tasks = args.tasks or able
    args.out.mkdir(parents=True, exist_ok=True)
    records = Records(args.pairs)
    report = {}
    for task in tasks:
        report[task] = export(task, args, records)
        for line in lines(task, report[task]):
            print(line, flush=True)
    write_json(args.out / 'comparison.json', report)
    wrong = [
        task for task, figures in report.items() if not figures['onnx']['difference'] <= PARITY
    ]
    if wrong:
        raise ValueError(f'ONNX differs from PyTorch by more than {PARITY}: {", ".join(wrong)}')


def export(task: str, args: argparse.Namespace, records: Records) -> dict[str, dict[str, float]]:
    """Write a task's files and measure them.

    Returns:
        For ``pytorch``, ``torch.export``, ``onnx`` and ``int8``: ``megabytes``, ``difference``
        (largest difference from PyTorch, relative to the largest output above 1),
        ``pairs_per_second`` and, for matching, ``recall_at_1``.
    """
    opened = open_model(args.model, heads=TASKS[task].heads)
    module = TASKS[task](opened.model).eval()
    rows = np.linspace(0, len(records) - 1, min(args.count, len(records))).astype(int).tolist()
    batch = {
        name: value
        for name, value in _batch(opened, records, rows, task).items()
        if name in module.inputs
    }
    example = {name: torch.from_numpy(value[:2]) for name, value in batch.items()}
    free = {name: {0: torch.export.Dim('batch', min=1, max=1024)} for name in example}
    if opened.model.data_preprocessor.context_length is None and 'token_ids' in free:
        free['token_ids'][1] = torch.export.Dim(
            'tokens', min=2, max=opened.model.backbone.context_length
        )
    with torch.no_grad():
        program = torch.export.export(module, (), dict(example), dynamic_shapes=free, strict=False)
        torch.export.save(program, args.out / f'{task}.pt2')
        torch.onnx.export(
            program,
            f=args.out / f'{task}.onnx',
            output_names=list(module.outputs),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    _quantise(args.out / f'{task}.onnx', args.out / f'{task}.int8.onnx')
    runs: dict[str, tuple[Path | None, Run]] = {
        'pytorch': (None, _torch(module)),
        'torch.export': (
            args.out / f'{task}.pt2',
            _torch(torch.export.load(args.out / f'{task}.pt2').module()),
        ),
        'onnx': (args.out / f'{task}.onnx', _onnx(args.out / f'{task}.onnx')),
        'int8': (args.out / f'{task}.int8.onnx', _onnx(args.out / f'{task}.int8.onnx')),
    }
    preprocessor = opened.model.data_preprocessor
    pad = preprocessor.pad_id if preprocessor.context_length is None else None
    if pad == opened.tokenizer.sep_id:  # CLIP's end token is also a part of the caption
        pad = None
    truth = _each(runs['pytorch'][1], batch, len(rows), pad)
    report = {}
    for name, (path, run) in runs.items():
        answers = [_each(run, batch, size, pad) for size in (1, 7, len(rows))]
        report[name] = dict(
            megabytes=_size(opened.model, path) / 2**20,
            difference=max(
                float(np.abs(a - b).max() / max(1, np.abs(b).max()))
                for answer in answers
                for a, b in zip(answer, truth)
            ),
            pairs_per_second=_speed(run, batch, args.seconds),
        )
    if task == 'matching' and args.queries:
        exact = {name: run for name, (_, run) in runs.items() if name != 'torch.export'}
        for name, recall in _recalls_at_1(opened, records, args.queries, exact).items():
            report[name]['recall_at_1'] = recall
    return report


def _batch(
    opened: OpenedModel, records: Records, rows: Sequence[int], task: str
) -> dict[str, np.ndarray]:
    """Inputs of pairs; for completion every second block of 8 x 8 pixels is masked."""
    pipeline = Pipeline({**opened.transforms, 'pack': PackPairInputs()})
    packed = [
        pipeline(dict(img=records.read(row), caption=records.caption(row) or ''))['inputs']
        for row in rows
    ]
    batch = dict(
        pixels=np.stack([inputs['image'].numpy() for inputs in packed]),
        token_ids=opened.model.data_preprocessor.pad(
            [inputs['token_ids'] for inputs in packed]
        ).numpy(),
    )
    if task == 'completion':
        height, width = batch['pixels'].shape[2:]
        board = np.add.outer(np.arange(height) // 8, np.arange(width) // 8) % 2 == 0
        batch['hidden'] = np.broadcast_to(board, (len(rows), 1, height, width)).copy()
    return batch


def _torch(module: Callable) -> Run:
    @torch.no_grad()
    def run(batch: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        outputs = module(**{name: torch.from_numpy(value) for name, value in batch.items()})
        return [
            output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))
        ]

    return run


def _onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return lambda batch: session.run(None, dict(batch))


def _quantise(path: Path, out: Path) -> None:
    """Matrix products and token embeddings as int8; activations are quantised dynamically."""
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it recommends a step that changes nothing here
    quantize_dynamic(
        path, out, weight_type=QuantType.QInt8, op_types_to_quantize=['MatMul', 'Gemm', 'Gather']
    )


def _each(
    run: Run, batch: Mapping[str, np.ndarray], size: int, pad: int | None
) -> list[np.ndarray]:
    """Outputs of a batch in pieces of ``size``, each as long as its longest caption.

    ``pad`` is the id of [PAD]; None = all captions have the same length.
    """
    parts = []
    for start in range(0, _count(batch), size):
        part = {name: value[start : start + size] for name, value in batch.items()}
        if pad is not None and 'token_ids' in part:
            longest = int((part['token_ids'] != pad).sum(1).max())
            part['token_ids'] = np.ascontiguousarray(part['token_ids'][:, :longest])
        parts.append(run(part))
    return [np.concatenate(pieces) for pieces in zip(*parts)]


def _speed(run: Run, batch: Mapping[str, np.ndarray], seconds: float) -> float:
    """Pairs a second, the median of passes over the batch."""
    run(batch)
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        started = time.perf_counter()
        run(batch)
        times.append(time.perf_counter() - started)
    return _count(batch) / float(np.median(times))


def _count(batch: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(batch.values())))


def _recalls_at_1(
    opened: OpenedModel, records: Records, count: int, runs: Mapping[str, Run]
) -> dict[str, float]:
    """R@1 of ``count`` text queries among 101, in percent; ties count against the model."""
    dataset: Any = records.dataset
    if dataset is None:
        raise ValueError('R@1 needs captions: give a catalogue, or --queries 0')
    rows = [dataset.get_data_info(i) for i in range(len(dataset))]
    different = len({row['caption'] for row in rows})
    hits: dict[str, list[bool]] = {name: [] for name in runs}
    for query in draw_candidates(rows, count, num_candidates=min(101, different)):
        batch = _batch(opened, records, query.candidates, 'matching')
        caption = _batch(opened, records, [query.query], 'matching')['token_ids']
        batch['token_ids'] = np.repeat(caption, len(query.candidates), axis=0)
        first = np.arange(len(query.candidates)) == 0
        for name, run in runs.items():
            ranking = rank(np.arange(len(first)), len(first), run(batch)[0].__getitem__)
            hits[name].append(ranking.rank_of(first) == 1)
    return {name: 100 * float(np.mean(correct)) for name, correct in hits.items()}


def _size(model: MVLT, path: Path | None) -> int:
    if path is not None:
        return path.stat().st_size
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())


def lines(task: str, report: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Lines of a table."""
    table = [f'\n{task:<14}{"MB":>8}{"difference":>14}{"pairs/s":>10}{"R@1 of 101, %":>16}']
    for name, figures in report.items():
        recall = f'{figures["recall_at_1"]:.1f}' if 'recall_at_1' in figures else ''
        table.append(
            f'{name:<14}{figures["megabytes"]:>8.1f}{figures["difference"]:>14.2e}'
            f'{figures["pairs_per_second"]:>10.0f}{recall:>16}'
        )
    return table


if __name__ == '__main__':
    run_command(main)
