"""The base of all datasets of image-caption pairs."""

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
from mmengine.logging import print_log

from mvlt.datasets.image_paths import below, check_is_there
from mvlt.datasets.pipeline import Pipeline, Steps
from mvlt.datasets.sampling import OnError, fetch
from mvlt.mmengine_private import MaybeEmptyDataset
from mvlt.registry import DATASETS
from mvlt.structures import CATEGORIES


def product_share(product_id: str, seed: int) -> float:
    """A number from 0 to 1 by hash, the same on every machine and in every table."""
    digest = hashlib.sha256(f'{seed}:{product_id}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2**64


class PairDataset(MaybeEmptyDataset):
    """Records of image and caption; a subclass reads a file format.

    A record is a dict of ``caption`` (str), ``product_id`` (str), ``main_category`` and
    ``sub_category`` (int, optional), and ``img_path`` (str) or, after :meth:`load`, ``img`` (uint8
    (H, W, 3), RGB). ``row`` is its row in the annotations (optional). ``other_captions`` are more
    captions of the same image, ``brand`` the product's, '' = unknown, both for
    :class:`mvlt.datasets.AugmentCaption` (optional). Further images and texts, e.g. of a
    composed query, are in ``images`` and ``texts``, dicts by name (:mod:`mvlt.datasets.pipeline`).

    ``metainfo`` holds the class names of each category and attribute in the order of their ids,
    and in ``<key>_trained`` how many of them training has.

    Args:
        classes: category or attribute -> class names in the order of their ids, as a model was
            trained with. By default the classes of the training data, sorted by name.
        on_error: 'raise' stops at an unreadable record, and at a missing image when the dataset is
            built; 'skip' takes another record instead, in training only
            (:class:`mvlt.engine.SkippedRecordsHook` counts and limits them).
        pipeline: steps by name, or a list (:class:`mvlt.datasets.Pipeline`).
        kwargs: of mmengine's BaseDataset (data_root, indices, test_mode, ...).

    Raises:
        ValueError: an illegal ``on_error``, or 'skip' in evaluation.
    """

    def __init__(
        self,
        *args: Any,
        classes: Mapping[str, Sequence[str]] | None = None,
        on_error: OnError = 'raise',
        pipeline: Steps | Pipeline | None = None,
        **kwargs: Any,
    ) -> None:
        if on_error not in get_args(OnError):
            raise ValueError(f"on_error='{on_error}'; legal: {', '.join(get_args(OnError))}")
        if on_error == 'skip' and kwargs.get('test_mode'):
            raise ValueError(
                "on_error='skip' with test_mode=True: metrics over the readable records alone "
                'cannot be compared; find the unreadable ones with tools/check_dataset.py'
            )
        self.on_error = on_error
        self.classes = {key: tuple(names) for key, names in (classes or {}).items()}
        super().__init__(*args, **kwargs)
        # row -> features in place of its image (mvlt.engine.FrozenFeaturesHook)
        self.features: Callable[[int], np.ndarray] | None = None
        self.pipeline: Pipeline = pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline)

    def __getitem__(self, idx: int) -> dict:
        self.full_init()
        return fetch(idx, self.prepare_data, len(self), self.on_error)

    def load(self, record: dict) -> dict:
        """Add what is too large to keep in memory; nothing by default."""
        return record

    def prepare_data(self, idx: int) -> dict:
        """Record ``idx`` after the pipeline."""
        return self.run_pipeline(self.get_data_info(idx))

    def run_pipeline(self, record: dict) -> dict:
        """A record after the pipeline; OSError names annotations, row and image."""
        if self.features is not None:
            return self._without_images(dict(record, img=self.features(record['sample_idx'])))
        try:
            return self.pipeline(self.load(record))
        except OSError as error:
            where = f'{self.ann_file}, row {record["row"]}: ' if 'row' in record else ''
            raise type(error)(f'{where}{error}') from error

    @cached_property
    def _without_images(self) -> Pipeline:
        return self.pipeline.without_images()

    def captions(self) -> list[str]:
        """The caption of each record."""
        return [self.get_data_info(i)['caption'] for i in range(len(self))]

    @cached_property
    def _root(self) -> str:
        return str(Path(self.data_root or '.').resolve())

    def _image_path(self, name: str, where: str) -> str:
        """Path of an image below ``data_root``; the file must exist unless ``on_error='skip'``."""
        path = below(self._root, name, where)
        if self.on_error == 'raise':
            check_is_there(path, name, self._root, where)
        return path

    def _warn_of_rare(
        self, key: str, names: Sequence[str], products: Sequence[str], source: str
    ) -> None:
        """Warn of classes with a single product, which cannot be learnt or ranked."""
        seen: dict[str, set[str]] = {}
        for name, product in zip(names, products):
            seen.setdefault(name, set()).add(product)
        rare = [name for name, ids in seen.items() if len(ids) < 2]
        if rare:
            print_log(
                f'{source}: {len(rare)} {key} value(s) with a single product, first in row '
                f'{names.index(rare[0])}: {", ".join(rare)}',
                'current',
                level=30,
            )

    def _number_categories(
        self,
        names: Mapping[str, Sequence[str]],
        training: Mapping[str, Sequence[str]],
        source: str,
        missing: frozenset[str] = frozenset(),
    ) -> dict[str, list[int]]:
        """Class names -> ids, in the order of ``classes`` or else of the training data's names.

        Untrained classes get the next ids and a warning: no head can predict them, and metrics
        count them as missed. ``missing`` names and empty attributes are -1. ValueError if the data
        has none of the ``classes``.
        """
        ids = {}
        for key, values in names.items():
            empty = missing if key in CATEGORIES else {*missing, ''}
            trained = self.classes.get(
                key, self._ordered(set(training[key]) - empty, training[key])
            )
            unseen = sorted(set(values) - empty - set(trained))
            present = {*values, *training[key]} - empty
            if key in self.classes and present and not present & set(trained):
                raise ValueError(
                    f'{source}: no {key} of the model is in these data, it has '
                    f'{", ".join(trained[:5])}, they have {", ".join(sorted(present)[:5])}; test '
                    'the model on data with its classes, or train on these data'
                )
            if unseen and key in CATEGORIES:
                rows = Counter(values)
                print_log(
                    f'{source}: {len(unseen)} {key} name(s) that the training data lacks: '
                    f'{", ".join(f"{name} ({rows[name]} rows)" for name in unseen)}; their rows '
                    'stay and count as missed',
                    'current',
                    level=30,
                )
            classes = (*trained, *unseen)
            number = {name: i for i, name in enumerate(classes)}
            ids[key] = [number.get(name, -1) for name in values]
            self.add_metainfo(**{key: classes, f'{key}_trained': len(trained)})
        return ids

    def _ordered(self, names: set[str], values: Sequence[str]) -> Sequence[str]:
        """Class names of the training data in the order of their ids; ``values``: of each row."""
        return sorted(names)


def unwrapped_dataset(dataset: Any) -> PairDataset:
    """The PairDataset inside of wrappers."""
    while not isinstance(dataset, PairDataset):
        dataset = dataset.dataset
    return dataset


class PairWrapper:
    """A wrapper of a PairDataset; a subclass reads a sample, or a group of them.

    Args:
        dataset: a PairDataset or its config.
    """

    def __init__(self, dataset: PairDataset | dict) -> None:
        self.dataset: PairDataset = (
            DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        )

    @property
    def metainfo(self) -> dict:
        """Metainfo of the wrapped dataset."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Load the wrapped dataset."""
        self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> Any:
        return fetch(idx, self.read, len(self), self.dataset.on_error)

    @abstractmethod
    def read(self, row: int) -> Any:
        """Sample or group of row ``row``."""
