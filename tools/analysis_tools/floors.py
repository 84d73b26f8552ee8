"""Floors: what a metric must be compared with, since it needs no training of a network.

    tools/analysis_tools/floors.py configs/mvlt/retrieval_catalogue.py --data-root MY_CATALOGUE

The config gives protocol and data: lists, full ranking, attribute queries or recognition. Floors
learn from the training split, choose their settings on val and are tested as any model:

nearest_thumbnails  the words, or classes, of the ten nearest thumbnails of 32 px
ridge_thumbnails    kernel ridge regression from these thumbnails to words (tf-idf), or to classes
ridge_frozen        ridge regression from the features of a frozen pretrained backbone, the same
most_frequent       recognition: the most frequent class

Chance stands beside every ranking metric; attribute_oracle.py gives what perfect reading of columns
allows. Rankings go to work_dirs/floors, a folder per protocol and floor, for compare.py. From then
on tools/test.py with the same protocol and data logs how far above the floors a model is, and
writes them into its results.json.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmcv.transforms import Resize
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import BaseModel
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from mvlt.checkpoints import PretrainedBackbone
from mvlt.config import labels_of, load_config
from mvlt.config_files import config_name
from mvlt.datasets import LoadImage, PairDataset, Pipeline, draw_candidates
from mvlt.datasets.feature_cache import FeatureCache, image_keys
from mvlt.engine import resolve
from mvlt.engine.floors import FOLDER, floor_key, write_floors
from mvlt.engine.loops.ranking import Embeds, RankingLoop
from mvlt.engine.splits import split_of
from mvlt.evaluation import CategoryMetric
from mvlt.mmengine_private import set_test_loop
from mvlt.models import ImageBackbone
from mvlt.registry import LOOPS, METRICS, MODELS, RUNNERS
from mvlt.tools.command_line import add_options, config_from, run_command

_WORDS = 8000  # the most frequent ones of the training captions
_BLOCK = 64  # images at a time
_HIDDEN = ('/queries', '/candidates', '_rank', '/samples', '/classes', '/classes_of_truth')


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument(
        '--train-size', type=int, default=8000, help='most products to learn from (default 8000)'
    )
    args = parser.parse_args()
    floors, path = floors_of(resolve(config_from(args), 'data'), args.train_size)
    names = [name for name in next(iter(floors.values())) if not name.endswith(_HIDDEN)]
    print('| floor | ' + ' | '.join(names) + ' |\n' + '| --- ' * (len(names) + 1) + '|')
    for floor, metrics in floors.items():
        print(f'| {floor} | ' + ' | '.join(f'{metrics[name]:.3g}' for name in names) + ' |')
    print(f'kept in {path}')


class Reader(NamedTuple):
    """How an image becomes a vector: pixels uint8 (B, 3, side, side) -> float32 (B, dims)."""

    side: int
    interpolation: str
    dims: int
    vectors: Callable[[torch.Tensor], np.ndarray]


def thumbnails() -> Reader:
    """Pixels of thumbnails, 0 to 1."""
    side = 32
    return Reader(side, 'box', 3 * side**2, lambda pixels: (pixels.flatten(1) / 255).numpy())


def frozen() -> Reader:
    """Features that the pretrained recipes read: EfficientNet-Lite0, ImageNet weights, 224 px."""
    model = load_config('mvlt/dual_encoder_catalogue').model
    encoder = model.backbone.image_encoder
    network = ImageBackbone(encoder.backbone, pooled=True, statistics=encoder.statistics).eval()
    PretrainedBackbone(encoder.init_cfg.checkpoint)(network.backbone)
    preprocessor = MODELS.build(model.data_preprocessor)

    @torch.no_grad()
    def vectors(pixels: torch.Tensor) -> np.ndarray:
        return network(preprocessor.normalise(pixels)).numpy()

    return Reader(224, 'bicubic', network.embed_dims[0], vectors)


class Floor(NamedTuple):
    """How it reads images, and the regressors of which val chooses one."""

    reader: Callable[[], Reader]
    regressors: Sequence[Any]


FLOORS = dict(
    nearest_thumbnails=Floor(thumbnails, [KNeighborsRegressor(10)]),
    ridge_thumbnails=Floor(
        thumbnails,
        [
            KernelRidge(kernel='rbf', gamma=gamma, alpha=alpha)
            for gamma in (1e-3, 4e-3, 1.6e-2)
            for alpha in (0.01, 0.1)
        ],
    ),
    ridge_frozen=Floor(frozen, [Ridge(alpha=alpha) for alpha in (1, 10, 100, 1000)]),
)


def floors_of(
    config: Config, train_size: int = 8000
) -> tuple[dict[str, Mapping[str, float]], Path]:
    """Metrics of each floor, and the file that keeps them.

    Args:
        config: resolved, with ``test_dataloader``, ``test_cfg`` and ``test_evaluator``.
        train_size: most training products to learn from, a seeded choice.

    Raises:
        ValueError: the config has no training data, or another protocol.
    """
    datasets = {split: split_of(config, split) for split in ('train', 'val', 'test')}
    count = len(datasets['train'])
    chosen = np.random.default_rng(0).permutation(count)[:train_size]
    task = Recognition(config, datasets) if _recognises(config) else Retrieval(config, datasets)
    targets = task.targets(chosen)
    floors: dict[str, Mapping[str, float]] = dict(task.without_images())
    for name, floor in FLOORS.items():
        try:
            vectors = _Vectors(floor.reader(), Path(FOLDER) / 'features' / floor.reader.__name__)
        except ImportError as error:
            print_log(f'{name}: skipped ({error})', 'current', level=30)
            continue
        x = vectors.of(datasets['train'], chosen)
        mean, std = x.mean(0), x.std(0) + 1e-3
        if floor.reader is thumbnails:  # distances between pixels, as they are
            mean, std = np.zeros_like(mean), np.ones_like(std)
        x_val = (vectors.of(datasets['val']) - mean) / std
        best, best_score = floor.regressors[0], -np.inf
        for regressor in floor.regressors:
            regressor.fit((x - mean) / std, targets)
            if len(floor.regressors) > 1:
                score = task.score(regressor.predict(x_val))
                best, best_score = max(((best, best_score), (regressor, score)), key=lambda p: p[1])
        floors[name] = task.test(name, best.predict((vectors.of(datasets['test']) - mean) / std))
    return floors, write_floors(task.key, floors, len(chosen), str(config_name(config.filename)))


def _recognises(config: Config) -> bool:
    return not issubclass(_loop(config), RankingLoop)


def _loop(config: Config) -> Any:
    kind = config.test_cfg.type
    return LOOPS.get(kind) if isinstance(kind, str) else kind


class _Vectors:
    """Vectors of images, cached on the disk."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.reader = reader
        self.cache = FeatureCache(folder / f'{reader.side}_{reader.dims}', 1, reader.dims)
        scale = (reader.side, reader.side)
        resize = dict(
            type=Resize, scale=scale, backend='pillow', interpolation=reader.interpolation
        )
        self.pipeline = Pipeline(dict(load=dict(type=LoadImage), resize=resize))

    def of(self, dataset: PairDataset, rows: Sequence[int] | np.ndarray | None = None) -> Any:
        """Float32 (rows, dims)."""
        keys = image_keys(dataset)
        rows = range(len(dataset)) if rows is None else rows
        missing = [row for row in self.cache.lacks(keys) if row in {*rows}]
        with self.cache.writer() as write:
            for start in range(0, len(missing), _BLOCK):
                block = missing[start : start + _BLOCK]
                records = (dataset.load(dict(dataset.get_data_info(row))) for row in block)
                images = np.stack([self.pipeline(record)['img'] for record in records])
                pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
                write([keys[row] for row in block], self.reader.vectors(pixels)[:, None])
        self.cache.reload()
        return np.stack([self.cache.get(keys[row], 0) for row in rows])


class Retrieval:
    """Images and captions as tf-idf vectors over the words of the training captions."""

    def __init__(self, config: Config, datasets: Mapping[str, PairDataset]) -> None:
        self.config = config
        self.captions = {split: dataset.captions() for split, dataset in datasets.items()}
        self.words = TfidfVectorizer(token_pattern=r'\S+', max_features=_WORDS)
        self.words.fit(self.captions['train'])
        val = datasets['val']
        records = [val.get_data_info(row) for row in range(len(val))]
        self._val = draw_candidates(records, 1000, 101, 0, fewer=True)
        self._val_words = self._vectors(self.captions['val'])
        self.key = ''

    def targets(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Words of the training captions of some rows, (n, words), without their mean.

        Predicted with the mean, every image would be near the captions of the commonest words.
        """
        vectors = self._vectors([self.captions['train'][row] for row in rows])
        return vectors - vectors.mean(0)

    def without_images(self) -> dict[str, Mapping[str, float]]:
        """None: chance stands beside the metrics."""
        return {}

    def score(self, predicted: np.ndarray) -> float:
        """R@1 of val, in lists of 101, both directions together."""
        cosines = _unit(predicted) @ self._val_words.T
        hits = []
        for query, candidates in self._val:
            rows, right = list(candidates), cosines[query, query]
            ahead = (cosines[rows, query] >= right).sum(), (cosines[query, rows] >= right).sum()
            hits += [count == 1 for count in ahead]  # the right one alone
        return float(np.mean(hits))

    def test(self, name: str, predicted: np.ndarray) -> Mapping[str, float]:
        """Metrics of the config's protocol."""
        embed_captions, images = self._vectors, _unit(predicted)

        class FloorLoop(_loop(self.config)):  # type: ignore[misc]
            def encode(self, rows: Sequence[int], captions: Sequence[str]) -> Embeds:
                return Embeds(images[list(rows)], embed_captions(captions))

        folder = Path(FOLDER) / Path(str(self.config.filename)).stem / name
        config = _for_test(self.config, folder)
        runner = RUNNERS.build(config)
        settings = {k: v for k, v in config.test_cfg.items() if k != 'type'}
        loop = FloorLoop(runner, config.test_dataloader, config.test_evaluator, **settings)
        set_test_loop(runner, loop)
        metrics: Mapping[str, float] = runner.test()
        self.key = floor_key(loop.dataset, dict(loop.protocol, rows=len(loop.records)))
        return metrics

    def _vectors(self, captions: Sequence[str]) -> np.ndarray:
        return self.words.transform(captions).toarray().astype(np.float32)


class Recognition:
    """Classes of each level, one-hot side by side."""

    def __init__(self, config: Config, datasets: Mapping[str, PairDataset]) -> None:
        evaluator = config.test_evaluator
        listed = evaluator if isinstance(evaluator, list) else [evaluator]
        metrics = [METRICS.build(metric) for metric in listed]
        labels = labels_of(datasets['test'].metainfo)
        self.metrics = [
            metric
            for metric in metrics
            if isinstance(metric, CategoryMetric) and metric.category in labels
        ]
        if not self.metrics:
            raise ValueError(
                f'{config.filename}: floors are for rankings and for recognition of labels that '
                f'the data have ({", ".join(labels) or "none"})'
            )
        self.datasets = datasets
        self.labels = {
            split: {
                metric.category: np.array(
                    [dataset.get_data_info(row)[metric.category] for row in range(len(dataset))]
                )
                for metric in self.metrics
            }
            for split, dataset in datasets.items()
        }
        meta = datasets['test'].metainfo
        self._sizes = {metric.category: len(meta[metric.category]) for metric in self.metrics}
        self.key = floor_key(datasets['test'], dict(rows=len(datasets['test'])))

    def targets(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """One-hot classes of training rows, all levels side by side; zeros where unknown."""
        return np.concatenate(
            [
                np.eye(size + 1, dtype=np.float32)[self.labels['train'][level][rows]][:, :size]
                for level, size in self._sizes.items()
            ],
            axis=1,
        )

    def without_images(self) -> dict[str, Mapping[str, float]]:
        """The most frequent class of the training data."""
        frequent = self.targets(np.arange(len(self.datasets['train']))).mean(0)
        rows = len(self.datasets['test'])
        return dict(most_frequent=self.test('', np.tile(frequent, (rows, 1))))

    def score(self, predicted: np.ndarray) -> float:
        """Mean accuracy of the levels on val."""
        levels = self._split(predicted).items()
        truth = self.labels['val']
        return float(
            np.mean(
                [
                    (scores.argmax(1) == truth[level])[truth[level] >= 0].mean()
                    for level, scores in levels
                ]
            )
        )

    def test(self, name: str, predicted: np.ndarray) -> Mapping[str, float]:
        """Metrics of the config."""
        values: dict[str, float] = {}
        scores, truth = self._split(predicted), self.labels['test']
        for metric in self.metrics:
            metric.dataset_meta = self.datasets['test'].metainfo
            level = metric.category
            samples = [
                {level: label, f'{metric.head}_scores': torch.from_numpy(row)}
                for label, row in zip(truth[level], scores[level])
            ]
            metric.process({}, samples)
            values |= metric.evaluate(len(samples))
        return values

    def _split(self, predicted: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.cumsum(list(self._sizes.values()))[:-1]
        return dict(zip(self._sizes, np.split(predicted, ends, axis=1)))


@MODELS.register_module(force=True)
class NoNetwork(BaseModel):
    """The model that a Runner needs; nothing calls it."""

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> None:
        """Nothing."""


def _for_test(config: Config, folder: Path) -> Config:
    """A config that tests without a network."""
    content = config.to_dict()
    loader, test = content['test_dataloader'], content['test_cfg']
    without = (
        *('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'),
        *('val_dataloader', 'val_cfg', 'val_evaluator', 'load_from'),
    )
    changes: dict[str, Any] = dict(
        dict.fromkeys(without),
        work_dir=str(folder),
        model=dict(type='NoNetwork'),
        default_hooks=dict(results=content['default_hooks']['results']),
        test_dataloader=dict(loader, dataset=dict(loader['dataset'], pipeline=[])),
        test_cfg={k: None if k in ('rerank', 'rerank_topk') else v for k, v in test.items()},
    )
    return Config({**content, **changes}, filename=config.filename)


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(norms, 1e-12)).astype(np.float32)


if __name__ == '__main__':
    run_command(main)
