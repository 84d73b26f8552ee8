"""Export a model for other runtimes, and compare what they answer.

    tools/export.py MY_MODEL exported --pairs MY_CATALOGUE/products.csv

writes, for each thing that the model can do, ``image_tower.onnx`` and ``text_tower.onnx`` (vectors
of length 1, whose product is the similarity), ``matching.onnx``, ``recognition.onnx`` and
``completion.onnx`` (batch and text length are free), ``*.int8.onnx`` (dynamic quantisation) and
``*.pt2`` (torch.export), runs all of them on real pairs and prints the comparison. Inputs are those
of the model's pipeline: pixels uint8 (B, 3, H, W) and token ids int64 (B, T), filled with [PAD].
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
from mvlt.checkpoints.opening import OpenedModel, open_model, read_trained
from mvlt.command_line import run_command
from mvlt.datasets import PackPairInputs, Pipeline, draw_candidates
from mvlt.files import write_json
from mvlt.models import MVLT, Features
from mvlt.registry import MODELS
from mvlt.retrieval.ranking import rank
from mvlt.retrieval.records import Records

PARITY = 1e-4


class Matching(nn.Module):
    """Pixels and token ids -> ``itm_logits``, to rank by, and ``itm_score``, float32 (B,)."""

    inputs: tuple[str, ...] = ('pixels', 'token_ids')
    outputs: tuple[str, ...] = ('itm_logits', 'itm_score')

    @staticmethod
    def heads(description: ModelDescription) -> list[str]:
        """Names of the heads that it runs; none where the model cannot do it."""
        return description.that_give('match')

    def __init__(self, model: MVLT) -> None:
        super().__init__()
        self.model = model
        self.preprocessor: Any = model.data_preprocessor

    def text_mask(self, token_ids: torch.Tensor) -> torch.Tensor | None:
        """Always a mask where [PAD] is hidden: whether there is one must not change the graph."""
        return None if self.preprocessor.attend_pad else token_ids != self.preprocessor.pad_id

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Uint8 -> what the backbone reads, float32 (B, 3, H, W)."""
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
    """Pixels -> vectors of pictures alone, float32 (B, D) of length 1."""

    inputs = ('pixels',)
    outputs = ('image_embeds',)

    @staticmethod
    def heads(description: ModelDescription) -> list[str]:
        """The one that makes vectors."""
        return description.that_give('embedding')

    def forward(self, pixels: torch.Tensor) -> Any:  # type: ignore[override]
        """See the class."""
        return self.model.image_embeds(self.normalised(pixels))


class TextTower(ImageTower):
    """Token ids -> vectors of captions alone, float32 (B, D) of length 1."""

    inputs = ('token_ids',)
    outputs = ('text_embeds',)

    def forward(self, token_ids: torch.Tensor) -> Any:  # type: ignore[override]
        """See the class."""
        return self.model.text_embeds(token_ids, self.text_mask(token_ids))


class Recognition(Matching):
    """Pixels and token ids -> probabilities float32 (B, classes) of each head that names classes.

    Those that learn from the picture alone do not read the token ids.
    """

    @staticmethod
    def heads(description: ModelDescription) -> list[str]:
        """All that name classes by [CLS] or by the picture alone."""
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
    """Pixels, token ids and hidden pixels bool (B, 1, H, W) -> picture float32 (B, 3, H, W)."""

    inputs = ('pixels', 'token_ids', 'hidden')
    outputs = ('reconstruction',)

    @staticmethod
    def heads(description: ModelDescription) -> list[str]:
        """The one that gives pictures."""
        return description.rebuilding[:1]

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
    image_tower=ImageTower,
    text_tower=TextTower,
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
    parser.add_argument('--tasks', nargs='+', choices=TASKS, help='default: all that it can do')
    parser.add_argument('--count', type=int, default=50, help='pairs to compare on')
    parser.add_argument('--queries', type=int, default=100, help='for R@1 of 101; 0 = none')
    parser.add_argument('--seconds', type=float, default=3, help='to time each of them for')
    args = parser.parse_args()
    if args.count < 2:
        raise ValueError(f'--count {args.count}: 2 pairs at least, or a batch cannot be free')
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
    wrong = [task for task, one in report.items() if not one['onnx']['difference'] <= PARITY]
    if wrong:
        raise ValueError(f'ONNX differs from PyTorch by more than {PARITY}: {", ".join(wrong)}')


def export(task: str, args: argparse.Namespace, records: Records) -> dict[str, dict[str, float]]:
    """Write a task's files and measure them.

    Returns:
        For ``pytorch``, ``torch.export``, ``onnx`` and ``int8``: ``megabytes``, ``difference`` (the
        largest, from PyTorch, relative to the largest output above 1), ``pairs_per_second`` and,
        for matching, ``recall_at_1``.
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
    if opened.model.data_preprocessor.text_len is None and 'token_ids' in free:
        free['token_ids'][1] = torch.export.Dim('tokens', min=2, max=opened.model.backbone.text_len)
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
    pad = preprocessor.pad_id if preprocessor.text_len is None else None
    truth = _each(runs['pytorch'][1], batch, len(rows), pad)
    report = {}
    for name, (path, run) in runs.items():
        found = [_each(run, batch, size, pad) for size in (1, 7, len(rows))]
        report[name] = dict(
            megabytes=_size(opened.model, path) / 2**20,
            difference=max(
                float(np.abs(a - b).max() / max(1, np.abs(b).max()))
                for one in found
                for a, b in zip(one, truth)
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
    """Inputs of pairs, captions of all lengths; for completion every second 8 x 8 block hidden."""
    pipeline = Pipeline({**opened.transforms, 'pack': PackPairInputs()})
    packed = [
        pipeline(dict(img=records.read(row), caption=records.caption(row) or ''))['inputs']
        for row in rows
    ]
    found = dict(
        pixels=np.stack([one['image'].numpy() for one in packed]),
        token_ids=opened.model.data_preprocessor.pad([one['token_ids'] for one in packed]).numpy(),
    )
    if task == 'completion':
        height, width = found['pixels'].shape[2:]
        board = np.add.outer(np.arange(height) // 8, np.arange(width) // 8) % 2 == 0
        found['hidden'] = np.broadcast_to(board, (len(rows), 1, height, width)).copy()
    return found


def _torch(module: Callable) -> Run:
    @torch.no_grad()
    def run(batch: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        found = module(**{name: torch.from_numpy(value) for name, value in batch.items()})
        return [one.numpy() for one in (found if isinstance(found, tuple) else (found,))]

    return run


def _onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return lambda batch: session.run(None, dict(batch))


def _quantise(path: Path, out: Path) -> None:
    """Matrix products and word vectors as int8; activations are quantised as they come."""
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it recommends a step that changes nothing here
    quantize_dynamic(
        path, out, weight_type=QuantType.QInt8, op_types_to_quantize=['MatMul', 'Gemm', 'Gather']
    )


def _each(
    run: Run, batch: Mapping[str, np.ndarray], size: int, pad: int | None
) -> list[np.ndarray]:
    """Answers of a batch in pieces of ``size``, each as long as its longest caption.

    ``pad`` is the id of [PAD]; None = captions have one length.
    """
    parts = []
    for start in range(0, _count(batch), size):
        part = {name: value[start : start + size] for name, value in batch.items()}
        if pad is not None and 'token_ids' in part:
            longest = int((part['token_ids'] != pad).sum(1).max())
            part['token_ids'] = np.ascontiguousarray(part['token_ids'][:, :longest])
        parts.append(run(part))
    return [np.concatenate(one) for one in zip(*parts)]


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
    """Percent of ``count`` text queries whose match ranks first of 101; ties against the model."""
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
            found = rank(np.arange(len(first)), len(first), run(batch)[0].__getitem__)
            hits[name].append(found.rank_of(first) == 1)
    return {name: 100 * float(np.mean(found)) for name, found in hits.items()}


def _size(model: MVLT, path: Path | None) -> int:
    if path is not None:
        return path.stat().st_size
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())


def lines(task: str, report: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A table."""
    said = [f'\n{task:<14}{"MB":>8}{"difference":>14}{"pairs/s":>10}{"R@1 of 101, %":>16}']
    for name, one in report.items():
        recall = f'{one["recall_at_1"]:.1f}' if 'recall_at_1' in one else ''
        said.append(
            f'{name:<14}{one["megabytes"]:>8.1f}{one["difference"]:>14.2e}'
            f'{one["pairs_per_second"]:>10.0f}{recall:>16}'
        )
    return said


if __name__ == '__main__':
    run_command(main)
